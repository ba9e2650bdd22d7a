"""Views of several sizes, cut out or not, some with masks, through every way of a revision."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image as Pillow

from retouch.api.checking import Environment, check, load_registry
from retouch.api.running import execute
from retouch_scenes.field import Field
from tests.scenes.cube import cube_views, write

REGISTRY = load_registry()
SIZES = ((16, 16), (12, 16), (20, 14))  # height and width
BOX = "mask box left=25% top=25% right=75% bottom=75%"
FIT = 'scene = open views "cube/" caption="a cube"\ncube = scene | fit field iterations=3 resolution=10 rays=64\n'
EDIT = 'invert sdedit "cube"->"ball" steps=2 strength=1'
WAYS = {
    "masked": f"revise ({EDIT} | {BOX} | blend pixel)",
    "again": f"revise ({EDIT} | {BOX} | blend pixel) rounds=2",
    "window": f"revise ({BOX} | crop size=16 | {EDIT} | paste)",
    "one by one": f'revise ({EDIT} | {BOX} | blend pixel) order="one_by_one"',
    "lifted": f"mask lift ({BOX}) | revise ({EDIT})",
}


def sized(folder, *, around: bool, alpha: bool):
    """The cube, each picture cut to another size round its middle; of the first the left is masked away."""
    write(folder, cube_views(3, side=24, around=around, alpha=alpha))
    told = json.loads((folder / "transforms.json").read_text())
    for frame, (height, width) in zip(told["frames"], SIZES, strict=True):
        picture, left, top = Pillow.open(folder / frame["file_path"]), (24 - width) // 2, (24 - height) // 2
        picture.crop((left, top, left + width, top + height)).save(folder / frame["file_path"])
        frame |= {"w": width, "h": height, "cx": 12 - left, "cy": 12 - top}
    mask = Pillow.new("L", (16, 16), 255)
    mask.paste(0, (0, 0, 4, 16))
    mask.save(folder / "mask.png")
    told["frames"][0]["mask_path"] = "mask.png"
    (folder / "transforms.json").write_text(json.dumps(told))


@pytest.mark.crossed
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("around", [False, True], ids=["frustum", "box"])
@pytest.mark.parametrize("alpha", [False, True], ids=["whole", "cut out"])
def test_views_of_several_sizes_are_revised_and_saved_at_theirs(tmp_path, way, around, alpha):
    sized(tmp_path / "cube", around=around, alpha=alpha)
    text = f'{FIT}made = cube | {WAYS[way]} iterations=1 rays=64\nmade | render views | save views "seen/t.json"'
    found = check(text, Environment(REGISTRY, tmp_path, pictures=(), force=True))
    assert not found.errors, found.errors
    (outcome,) = execute(found.graphs, registry=REGISTRY).outcomes
    assert not outcome.failures, outcome.failures
    assert not outcome.notices
    before, after = [value for value in outcome.values.values() if isinstance(value, Field)][:2]
    assert not np.array_equal(before.grid, after.grid)
    told = json.loads((tmp_path / "seen/t.json").read_text())["frames"]
    assert [(frame["h"], frame["w"]) for frame in told] == list(SIZES)
    assert [Pillow.open(tmp_path / "seen" / frame["file_path"]).size[::-1] for frame in told] == list(SIZES)


@pytest.mark.parametrize(
    ("side", "turn", "code"),
    [
        (16, 'eye clip "storybook" | gan invert | gan edit "cube"->"ball"', "RT560"),
        (64, 'eye clip "storybook" | gan invert | gan edit "cube"->"ball"', None),
        (16, f'{BOX} | crop size=64 | eye clip "storybook" | gan invert | gan edit "cube"->"ball" | paste', None),
        (160, EDIT, "RT404"),
        (160, f"{BOX} | crop | {EDIT} | paste", None),
        (160, f"tiles multidiffusion | {EDIT}", None),
        (128, EDIT, None),
    ],
)
def test_photographs_of_a_size_that_a_flow_does_not_take_are_told_at_check(tmp_path, side, turn, code):
    """Where the picture is given in brackets its size is the folder's: all of it was told in the run, or not at all."""
    write(tmp_path / "cube", cube_views(2, side=side, around=False, alpha=False))
    text = f'{FIT}cube | revise ({turn}) | save field "x.safetensors"'
    found = check(text, Environment(REGISTRY, tmp_path, pictures=(), force=True))
    assert {error.code for error in found.errors} == ({code} if code else set()), found.errors
