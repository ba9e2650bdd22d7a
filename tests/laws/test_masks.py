"""What masks promise: their range, their algebra, and that every option counts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.api import Canvas, Image, Latents, Mask
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.strategies import masks
from retouch.testing.worlds import tiny_world
from retouch_methods.mask.algebra import intersect, invert, subtract, union
from retouch_methods.mask.attention import attention
from retouch_methods.mask.diffedit import diffedit
from retouch_methods.mask.given import color
from retouch_methods.mask.shape import depth, dilate, erode, feather, threshold

WORLD = tiny_world(steps=6)
CASES = settings(deadline=None, max_examples=40)
LATENTS = Latents(torch.zeros(4, 4, 3), Canvas(15, 10, 4))


@st.composite
def pairs(draw):
    """Two masks of one picture, each in pixels or in cells."""
    return tuple(draw(masks(15, 10)) if draw(st.booleans()) else draw(masks(16, 12, 4)) for _ in range(2))


def pixels(mask: Mask) -> torch.Tensor:
    return mask.pixels(15, 10)


@CASES
@given(pairs())
def test_masks_are_fuzzy_sets_in_pixels_and_in_cells(two):
    one, other = two
    not_one, not_other = invert(one), invert(other)
    either, both = pixels(union(one, other, LATENTS)), pixels(intersect(one, other, LATENTS))
    assert torch.equal(either, torch.maximum(pixels(one), pixels(other)))
    assert torch.equal(both, torch.minimum(pixels(one), pixels(other)))
    assert torch.equal(pixels(invert(union(one, other, LATENTS))), pixels(intersect(not_one, not_other, LATENTS)))
    assert torch.equal(pixels(subtract(one, other, LATENTS)), pixels(intersect(one, not_other, LATENTS)))
    assert torch.equal(either, pixels(union(other, one, LATENTS)))
    torch.testing.assert_close(pixels(invert(not_one)), pixels(one))


@CASES
@given(masks(15, 10), st.integers(1, 6))
def test_growing_feathering_and_cutting_keep_their_side_of_the_edge(mask, by):
    grown, shrunk, soft = (made(mask, pixels=by).data for made in (dilate, erode, feather))
    assert (grown >= mask.data).all()
    assert (shrunk <= mask.data).all()
    assert (soft <= mask.data).all()
    assert ((soft > 0) == (mask.data > 0)).all()
    assert torch.equal(soft[shrunk > 0], mask.data[shrunk > 0])  # whole again at that depth
    torch.testing.assert_close(invert(dilate(invert(mask), pixels=by)).data, shrunk)
    hard = threshold(mask, at=0.4).data
    assert torch.equal(hard, (mask.data > 0.4).float())
    assert not threshold(mask, at=1.0).data.any()


def test_a_feather_fades_evenly_and_not_at_the_pictures_edge():
    row = torch.tensor([[0.0, 1, 1, 1, 1, 1, 1]])
    assert torch.allclose(feather(Mask(row), pixels=3).data, torch.tensor([[0, 0.25, 0.5, 0.75, 1, 1, 1]]))
    assert torch.equal(feather(Mask(row, scale=4), pixels=5).data, depth(row, 2))


def test_a_colour_is_found_to_the_bit_and_within_its_tolerance():
    picture = torch.tensor([[255, 250, 128, 0], [128, 128, 128, 0], [0, 9, 0, 0]]).view(3, 1, 4) / 255
    source = Image(picture)
    assert color(source, name="#ff8000", tolerance=0.0).data.tolist() == [[1, 0, 0, 0]]
    assert color(source, name="#FF8000", tolerance=10 / 255).data.tolist() == [[1, 1, 0, 0]]
    assert color(source, name="#ff8000", tolerance=1.0).data.all()


# ------------------------------------------------------------ attention


def test_the_attention_mask_keeps_the_law_of_masks_and_costs_a_row_a_level():
    laws.mask_law(attention, WORLD, words=("cat",))
    assert laws.rows_law(attention, WORLD, words=("cat",), levels=4) == 4
    assert laws.rows_law(attention, WORLD, words=("cat",), levels=100) == len(WORLD.schedule)


def test_every_option_of_the_attention_mask_counts():
    def made(**options):
        return run(WORLD.call(attention, **{"words": ("cat",), "threshold": 0.0, **options}))[0].data

    plain = made()
    assert plain.min() == 0
    assert plain.max() == 1
    for options in ({"words": ("white",)}, {"levels": 2}, {"coarsest": 1}, {"threshold": 0.5}):
        assert not torch.equal(made(**options), plain), options
    assert torch.equal(made(threshold=0.5), (plain > 0.5).float())
    assert torch.equal(made(words=("cat", "white")), torch.maximum(plain, made(words=("white",))))


def test_the_attention_mask_refuses_words_that_the_caption_lacks():
    with pytest.raises(ValueError, match="the model reads no 'dog' in the caption"):
        run(WORLD.call(attention, words=("dog",)))


def test_pictures_beside_each_other_keep_their_maps():
    laws.batch_law(lambda i: WORLD.neighbour(i).call(attention, words=("cat",)))


# ------------------------------------------------------------ diffedit


def test_diffedit_costs_twice_as_much_with_a_negative_of_its_own():
    assert laws.rows_law(diffedit, WORLD, maps=3) == 6
    assert laws.rows_law(diffedit, WORLD, maps=3, source_negative="a blurry cat") == 12


def test_every_option_of_diffedits_guidance_counts():
    def made(**options):
        return run(WORLD.call(diffedit, maps=4, threshold=0.3, **options))[0].data

    guided = made(source_negative="a blurry cat")
    assert not torch.equal(guided, made())
    assert not torch.equal(guided, made(source_negative="a blurry cat", swapped=True))
    assert not torch.equal(guided, made(source_negative="a blurry cat", scale=1.5))
    assert torch.equal(made(source_negative="a blurry cat", scale=1.0), made())
