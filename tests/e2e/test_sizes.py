"""A picture keeps its size, its orientation and its alpha; what has to be converted is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from retouch_storybook.world import render
from tests.e2e.command import CAT, draw
from tests.e2e.sessions import run

EDIT = 'invert ddim "cat"->"dog"'


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (63, 64), (100, 64), (65, 128)])
def test_output_size_is_input_size(size, tmp_path):
    draw(tmp_path / "in.png", size=size)
    run(EDIT, [tmp_path / "in.png"], tmp_path / "out", steps=2)
    assert Image.open(tmp_path / "out" / "in.png").size == size


def test_orientation_is_applied_and_alpha_is_kept(tmp_path):
    picture = render(CAT, 64).resize((64, 48))
    alpha = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8))
    picture.putalpha(alpha)
    turned = Image.Exif()
    turned[0x0112] = 6  # shown after a quarter turn
    picture.save(tmp_path / "in.png", exif=turned)
    (tmp_path / "in.txt").write_text("a cat")
    run(EDIT, [tmp_path / "in.png"], tmp_path / "out", steps=2)
    made = Image.open(tmp_path / "out" / "in.png")
    assert made.size == (48, 64)
    assert np.array_equal(np.asarray(made.getchannel("A")), np.asarray(alpha.transpose(Image.Transpose.ROTATE_270)))


@pytest.mark.parametrize(("mode", "ending"), [("CMYK", "tif"), ("I;16", "png")])
def test_other_colours_become_srgb_with_a_notice(mode, ending, tmp_path):
    picture = render(CAT, 64)
    if mode == "CMYK":
        picture = picture.convert("CMYK")
    else:
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    picture.save(tmp_path / f"in.{ending}")
    (tmp_path / "in.txt").write_text("a cat")
    result = run(EDIT, [tmp_path / f"in.{ending}"], tmp_path / "out", steps=2)
    assert any(f"in.{ending}" in notice for notice in result.outcomes[0].notices)
    assert Image.open(result.outcomes[0].files[0]).mode == "RGB"


fractions = st.floats(0, 0.45)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(left=fractions, top=fractions, width=st.integers(5, 70), height=st.integers(5, 70), feather=st.integers(0, 3))
def test_no_byte_changes_outside_the_mask(tmp_path, left, top, width, height, feather):
    draw(tmp_path / "in.png", size=(width, height))
    recipe = (
        f"area = mask box left={left:.3f} top={top:.3f} right=0.9 bottom=0.8\n"
        f'{EDIT} | blend latent mask=area | blend pixel mask=area feather={feather} | save "in.png"\n'
        'area | save mask "mask.png"'
    )
    run(recipe, [tmp_path / "in.png"], tmp_path / "out", steps=2)
    made, mask = (np.asarray(Image.open(tmp_path / "out" / name)) for name in ("in.png", "mask.png"))
    before = np.asarray(Image.open(tmp_path / "in.png"))
    assert made.shape == before.shape
    assert np.array_equal(made[mask == 0], before[mask == 0])
