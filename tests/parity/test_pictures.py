"""What is outside a mask is not touched, and a picture comes back at its own size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from retouch.api import AttentionMaps, Canvas, Image, Latents, Mask
from retouch.run.executor import run
from retouch.testing.strategies import canvases, masks, pictures
from retouch.testing.tiny import schedule
from retouch_methods.blend import pixel as pixels
from retouch_methods.blend.latent import latent
from retouch_methods.mask.given import box
from retouch_methods.picture.codec import decode, encode
from tests.laws.by_hand import at_once

pixel = at_once(pixels.pixel)

STEP = schedule(2).steps[0]


class Cells:
    """A codec without a network: a cell is the mean colour of its pixels."""

    def __init__(self, scale: int = 4, multiple: int = 8) -> None:
        self.scale, self.multiple = scale, multiple
        self.seen: list[tuple[int, ...]] = []

    def padded(self, height, width):
        return tuple(-(-side // self.multiple) * self.multiple for side in (height, width))

    def encode(self, pictures):
        self.seen.append(tuple(pictures.shape[-2:]))
        return F.avg_pool2d(pictures, self.scale)

    def decode(self, latents):
        return F.interpolate(latents, scale_factor=self.scale)


def bytes_of(picture: torch.Tensor) -> np.ndarray:
    """As they are written to a file."""
    return (picture * 255).round().clamp(0, 255).to(torch.uint8).numpy()


@settings(deadline=None, max_examples=150)
@given(st.data(), pictures(), st.sampled_from((1, 2, 4, 8)), st.integers(0, 12))
def test_no_byte_changes_outside_the_mask(data, source, scale, feather):
    height, width = source.data.shape[-2:]
    mask = data.draw(masks(height, width, scale))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    edited = Image(torch.randn(3, height, width, generator=generator) * 2, torch.zeros(height, width))
    out = pixel(edited, source, mask, feather=feather)
    outside = (mask.pixels(height, width) == 0).numpy()
    assert (bytes_of(out.data)[:, outside] == bytes_of(source.data)[:, outside]).all()
    assert out.alpha is source.alpha
    assert out.data.shape == source.data.shape
    low, high = torch.minimum(source.data, edited.data), torch.maximum(source.data, edited.data)
    assert ((out.data >= low - 1e-5) & (out.data <= high + 1e-5)).all()  # a mixture, feathered or not
    if not feather:
        inside = mask.pixels(height, width) == 1
        assert torch.equal(out.data[:, inside], edited.data[:, inside])


def test_a_feather_fades_in_from_the_edge_of_the_mask():
    source, edited = Image(torch.zeros(3, 1, 9)), Image(torch.ones(3, 1, 9))
    mask = torch.zeros(1, 9)
    mask[0, 2:] = 1
    out = pixel(edited, source, Mask(mask), feather=3)
    assert torch.allclose(out.data[0, 0], torch.tensor([0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1]))


def test_a_feather_does_not_fade_at_the_pictures_own_edge():
    source, edited = Image(torch.zeros(3, 5, 5)), Image(torch.ones(3, 5, 5))
    assert torch.equal(pixel(edited, source, Mask(torch.ones(5, 5)), feather=9).data, edited.data)


@settings(deadline=None, max_examples=60)
@given(pictures(most=40), st.sampled_from([(2, 2), (4, 8), (8, 64)]))
def test_pictures_of_any_size_come_back_at_their_own(picture, cells):
    codec = Cells(*cells)
    latents = run(encode(picture, codec))[0]
    height, width = picture.data.shape[-2:]
    tall, wide = codec.padded(height, width)
    assert codec.seen == [(tall, wide)]
    assert latents.data.shape == (3, tall // codec.scale, wide // codec.scale)
    back = run(decode(latents, codec))[0]
    assert back.data.shape == picture.data.shape
    assert back.alpha is picture.alpha


def test_padding_repeats_the_edge_so_the_picture_stays_where_it_is():
    picture = Image(torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0)))
    codec = Cells(scale=1, multiple=8)
    (latents,) = run(encode(picture, codec))
    assert torch.equal(latents.data[:, :5, :7], picture.data)
    assert torch.equal(latents.data[:, 5:, :7], picture.data[:, 4:5].expand(3, 3, 7))
    assert torch.equal(run(decode(latents, codec))[0].data, picture.data)


def test_pictures_of_one_padded_size_are_encoded_together():
    codec, sizes = Cells(), [(9, 16), (16, 9), (13, 11), (16, 16)]
    found = run(*(encode(Image(torch.rand(3, *size)), codec) for size in sizes))
    assert codec.seen == [(16, 16)]
    assert [(each.canvas.height, each.canvas.width) for each in found] == sizes


@pytest.mark.thorough
@settings(deadline=None, max_examples=100)
@given(st.data(), canvases())
def test_a_cell_is_edited_as_much_as_its_most_edited_pixel(data, canvas):
    scale = canvas.scale
    rows, columns = -(-canvas.height // scale), -(-canvas.width // scale)
    latents = Latents(torch.zeros(4, rows, columns), canvas)
    mask = data.draw(masks(canvas.height, canvas.width))
    on = mask.on(latents)
    for i in range(rows):
        for j in range(columns):
            cell = mask.data[i * scale : (i + 1) * scale, j * scale : (j + 1) * scale]
            assert on[i, j] == cell.max()
    assert torch.equal(
        on.repeat_interleave(scale, 0).repeat_interleave(scale, 1)[: canvas.height, : canvas.width] > 0,
        Mask(on, scale).pixels(canvas.height, canvas.width) > 0,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_latent_blending_is_the_papers_formula(dtype):
    generator = torch.Generator().manual_seed(0)
    state, source = torch.randn(2, 2, 4, 8, 8, generator=generator, dtype=dtype)
    mask = torch.rand(8, 8, generator=generator, dtype=dtype).round(decimals=1)
    latents = Latents(state[0], Canvas(32, 32, 4))
    out = latent(Mask(mask, scale=4), latents).apply(state, source, STEP, AttentionMaps())
    torch.testing.assert_close(out, state * mask + source * (1 - mask), rtol=0, atol=1e-6)
    assert torch.equal(out[..., mask == 0], source[..., mask == 0])
    assert torch.equal(out[..., mask == 1], state[..., mask == 1])


def test_latent_blending_covers_the_cells_of_a_pixel_mask():
    latents = Latents(torch.zeros(4, 3, 3), Canvas(10, 9, 4))
    mask = torch.zeros(10, 9)
    mask[9, 8] = 1
    state, source = torch.ones(1, 4, 3, 3), torch.zeros(1, 4, 3, 3)
    out = latent(Mask(mask), latents).apply(state, source, STEP, AttentionMaps())
    assert out.sum() == 4
    assert out[0, :, 2, 2].eq(1).all()


@pytest.mark.parametrize("shape", [(4, 5), (5, 4)])
def test_a_mask_of_another_size_is_refused(shape):
    latents = Latents(torch.zeros(4, 2, 2), Canvas(4, 4, 2))
    with pytest.raises(ValueError, match="the picture wants"):
        Mask(torch.zeros(shape)).on(latents)


def test_a_box_is_where_it_says():
    latents = Latents(torch.zeros(4, 5, 5), Canvas(20, 10, 4))
    mask = box(latents, left=0.1, top=0.25, right=0.5, bottom=0.75)
    assert mask.data.sum() == 10 * 4
    assert mask.data[5:15, 1:5].eq(1).all()
