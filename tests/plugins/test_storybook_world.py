"""The drawn world: its drawings never change, its edits are exact, its captions say what is drawn."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest

from retouch_storybook.world import (
    COLORS,
    SETTINGS,
    SUBJECTS,
    Scene,
    edited_region,
    render,
    sample,
    subject_mask,
)

DRAWINGS = {
    Scene("cat", "orange", "in a meadow", seed=1): "22074c916203226a",
    Scene("dog", "black", "on a beach", "scarf", seed=2): "2d16bbcf6ad25193",
    Scene("rabbit", "pink", "in the snow", "glasses", seed=3): "185cc0daf706ffd7",
    Scene("bear", "brown", "at night", "hat", seed=4): "8da9edfe54fdca48",
    Scene("bird", "blue", "in a desert", seed=5): "47b110b88d11da83",
    Scene("fish", "green", "in a room", seed=6): "4703c2d679bba397",
    Scene("car", "red", "in a meadow", seed=7): "fb05f4bb998ead04",
    Scene("house", "yellow", "in the snow", seed=8): "c846e1a3386f9a82",
    Scene("tree", "white", "on a beach", seed=9): "ecc63a1a137a7b43",
    Scene("ball", "gray", "at night", seed=10): "c135a698e7d6d3da",
    Scene("cat", "black", "in a room", "hat", "sketch", seed=11): "7ccee6e666b1d5bf",
    Scene("car", "blue", "in a desert", style="watercolor", seed=12): "cff97c2c137a0a87",
    Scene("house", "pink", "in a meadow", style="mosaic", seed=13): "7d2bd7cdb7597c42",
}
CAT = Scene("cat", "orange", "in a meadow", "hat", "mosaic", seed=7)


def pixels(picture):
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize(("scene", "digest"), DRAWINGS.items(), ids=lambda value: getattr(value, "subject", ""))
def test_a_scene_is_drawn_the_same_for_ever(scene, digest):
    """The weights know these drawings: if one changes, they must be trained again."""
    assert hashlib.sha256(render(scene, 64).tobytes()).hexdigest()[:16] == digest


def test_scenes_are_sampled_in_the_same_order_for_ever():
    rng = Random(0)
    captions = [sample(rng).caption() for _ in range(100)]
    assert hashlib.sha256("\n".join(captions).encode()).hexdigest()[:16] == "174cdcbd818422d2"


@pytest.mark.parametrize(
    "change", [{"subject": "dog"}, {"color": "blue"}, {"accessory": "scarf"}, {"subject": "tree", "accessory": None}]
)
def test_an_edit_changes_nothing_outside_its_region(change):
    """Outside the region the two drawings are equal, but for the ringing of the filter that reduces them."""
    before = replace(CAT, style=None)
    after = replace(before, **change)
    change_at_full_size = (pixels(render(before, 512)) != pixels(render(after, 512))).any(axis=-1)
    region = pixels(edited_region(before, after, 512)) > 0
    assert np.array_equal(region, change_at_full_size)
    small = np.abs(pixels(render(before)) - pixels(render(after))).max(axis=-1)
    outside = pixels(edited_region(before, after)) == 0
    assert small[outside].max() < 40
    assert outside.mean() > 0.6


def test_a_scene_does_not_differ_from_itself():
    assert not pixels(edited_region(CAT, CAT)).any()


def test_a_color_edit_stays_within_the_subject():
    before = replace(CAT, style=None)
    region = pixels(edited_region(before, replace(before, color="blue"), 512))
    assert (region <= pixels(subject_mask(before, 512))).all()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_mask_covers_the_subject_and_nothing_else(subject):
    scene = Scene(subject, "red", "at night", seed=3)
    mask = pixels(subject_mask(scene)) / 255
    assert 0.02 < mask.mean() < 0.35
    assert pixels(subject_mask(replace(scene, setting="in a room"))).tolist() == pixels(subject_mask(scene)).tolist()


def test_a_caption_names_every_attribute():
    assert CAT.caption() == "an orange cat wearing a hat in a meadow as a mosaic"
    assert Scene("car", "red", "at night").caption() == "a red car at night"


def test_short_captions_range_from_the_bare_noun_to_all():
    rng = Random(0)
    captions = {CAT.short_caption(rng) for _ in range(400)}
    assert {"cat", "a cat", "an orange cat", "cat in a meadow", CAT.caption()} <= captions
    assert all("cat" in caption.split() for caption in captions)


def test_a_twentieth_of_the_triples_is_held_out():
    held = [triple for triple in product(SUBJECTS, COLORS, SETTINGS) if Scene(*triple).held_out]
    assert len(held) == 29
    assert ("cat", "orange", "in a meadow") in held
    assert replace(CAT, seed=99, style=None, accessory=None).held_out


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (("unicorn", "white", "at night"), "no subject 'unicorn': one of cat, dog"),
        (("cat", "mauve", "at night"), "no color 'mauve'"),
        (("cat", "white", "on Mars"), "no setting 'on Mars'"),
        (("cat", "white", "at night", "boots"), "no accessory 'boots': one of hat, scarf, glasses"),
        (("cat", "white", "at night", None, "cubist"), "no style 'cubist'"),
        (("car", "white", "at night", "hat"), "a car wears nothing: only cat, dog, rabbit, bear take an accessory"),
    ],
)
def test_an_impossible_scene_says_what_is_wrong(attributes, message):
    with pytest.raises(ValueError, match=message):
        Scene(*attributes)


def test_the_world_needs_no_torch():
    code = "import sys, retouch_storybook.world; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
