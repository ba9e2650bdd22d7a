"""Windows: where they are cut, what they show, and that nothing else changes when they are put back."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from retouch.api import Image, Mask, NothingMasked, Rectangle, Window, resized
from retouch.testing import laws
from retouch_methods.crop import window as windows
from retouch_methods.crop.paste import paste
from retouch_methods.crop.window import view_image, view_mask
from retouch_methods.mask.given import file
from retouch_methods.narrow.window import narrow as narrow_window
from tests.laws.by_hand import at_once

crop, narrow = at_once(windows.crop), at_once(narrow_window)
CODEC = SimpleNamespace(scale=4, side=32, padded=lambda h, w: (-(-h // 8) * 8, -(-w // 8) * 8))


def picture(height: int, width: int, seed: int = 0, *, alpha: bool = False) -> Image:
    """Eight-bit noise, as a file holds it."""
    draws = torch.Generator().manual_seed(seed)
    data = torch.randint(0, 256, (3, height, width), generator=draws) / 255
    return Image(data, torch.randint(0, 256, (height, width), generator=draws) / 255 if alpha else None)


def masked(height: int, width: int, box: tuple[int, int, int, int]) -> Mask:
    data = torch.zeros(height, width)
    Rectangle(*box).of(data)[:] = 1
    return Mask(data)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, tuple[int, int, int, int]]:
    """A picture's height and width, and a box in it."""
    height, width = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return height, width, (left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))


@settings(max_examples=150, deadline=None)
@given(boxes(), st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from(["square", "mask"]), st.sampled_from([0, 1, 40]))
def test_a_window_holds_the_mask_lies_in_the_picture_and_is_of_a_size_that_the_model_takes(
    drawn, context, shape, least
):
    height, width, box = drawn
    given = picture(height, width, alpha=True)
    options = {"context": context, "shape": shape, "least": least}
    window = laws.paste_law(crop, paste, given, masked(height, width, box), CODEC, **options)
    cut, tall, wide = window.box, *window.image.size
    assert cut.left <= box[0] < box[2] <= cut.right
    assert cut.top <= box[1] < box[3] <= cut.bottom
    assert max(tall, wide) == 32
    for edited, side in zip((tall, wide), cut.size, strict=True):
        assert abs(edited - side * 32 / max(cut.size)) <= 0.5 or edited == 1, "one side is stretched"
    if min(height, width) >= max(cut.size):
        assert shape == "mask" or cut.size[0] == cut.size[1]
    assert view_mask(window).data.shape == view_image(window).size
    assert view_mask(window).data.max() == 1


def test_context_is_a_share_of_the_mask_on_each_side():
    window = crop(picture(400, 400), masked(400, 400, (100, 150, 200, 250)), CODEC, context=0.25)
    assert window.box == (75, 125, 225, 275)
    assert window.scale == pytest.approx(32 / 150)


def test_a_window_that_would_leave_the_picture_is_moved_into_it():
    window = crop(picture(400, 400), masked(400, 400, (0, 350, 100, 400)), CODEC, context=0.5)
    assert window.box == (0, 200, 200, 400)


def test_pixels_are_made_twice_as_large_at_most_unless_one_asks():
    given, mask = picture(400, 400), masked(400, 400, (200, 200, 202, 202))
    assert crop(given, mask, CODEC).box.size == (16, 16)
    assert crop(given, mask, CODEC, least=8).box.size == (8, 8)
    assert crop(given, mask, CODEC, size=64).image.size == (64, 64)


def test_a_window_of_everything_is_the_whole_picture():
    window = crop(picture(90, 120), Mask(torch.ones(90, 120)), CODEC)
    assert (window.box, window.image.size) == ((0, 0, 120, 90), (24, 32))


def test_an_empty_mask_is_refused():
    with pytest.raises(NothingMasked):
        crop(picture(40, 40), Mask(torch.zeros(40, 40)), CODEC)


@pytest.mark.parametrize("size", [(7, 9), (60, 80), (31, 200), (200, 31)])
def test_pictures_are_resized_as_pillow_does_with_lanczos(size):
    """Pillow in floating point; it cuts the filter off at whole pixels."""
    data = picture(61, 83).data
    wanted = [
        np.asarray(Pillow.fromarray(one.numpy()).resize(size[::-1], Pillow.Resampling.LANCZOS)).clip(0, 1)
        for one in data
    ]
    torch.testing.assert_close(resized(data, *size), torch.from_numpy(np.stack(wanted)), rtol=0, atol=2e-3)
    assert resized(data, 61, 83) is data


def test_the_edit_fades_in_from_the_edge_of_the_mask_but_not_from_that_of_the_picture():
    given = Image(torch.zeros(3, 64, 64))
    window = crop(given, masked(64, 64, (0, 16, 32, 48)), CODEC, size=64, context=3.0)
    made = paste(Image(torch.ones(3, *window.image.size)), window, feather=4).data[0]
    assert window.scale == 1
    assert made[32, 0] == 1
    assert (made[32, 26:32].diff() <= 0).all()
    assert 0 < made[32, 31] < made[32, 27] == 1
    assert not made[:, 32:].any()


def test_a_window_without_context_fades_in_from_its_own_edge():
    window = crop(Image(torch.zeros(3, 96, 96)), masked(96, 96, (32, 32, 64, 64)), CODEC, context=0.0)
    made = paste(Image(torch.ones(3, 32, 32)), window, feather=4).data[0]
    assert made[48, 32] < made[48, 34] < made[48, 40] == 1


def test_the_whole_window_may_be_put_back():
    window = crop(Image(torch.zeros(3, 96, 96)), masked(96, 96, (40, 40, 56, 56)), CODEC)
    made = paste(Image(torch.ones(3, 32, 32)), window, inside="window", feather=0).data
    assert torch.equal(made[0], masked(96, 96, window.box).data)


def test_what_was_not_changed_keeps_the_pixels_of_the_picture():
    """A window made four times smaller: only the part that differs comes back enlarged."""
    given = picture(256, 256)
    window = crop(given, masked(256, 256, (64, 64, 192, 192)), CODEC, context=0.0)
    data = window.image.data.clone()
    data[:, :16] = 1 - data[:, :16]
    made = paste(Image(data), window).data
    assert torch.equal(made[:, 64 + 17 * 4 :], given.data[:, 64 + 17 * 4 :])
    assert (made[:, 72:120, 72:184] != given.data[:, 72:120, 72:184]).double().mean() > 0.9


def test_a_window_in_a_window_is_put_back_into_that_one():
    given, mask = picture(200, 200), masked(200, 200, (60, 60, 140, 140))
    outer = crop(given, mask, CODEC)
    inner = crop(view_image(outer), masked(32, 32, (12, 12, 20, 20)), CODEC, outer)
    assert inner.original == (200, 200)
    changed = paste(Image(1 - inner.image.data.round()), inner)
    made = paste(changed, outer).data
    assert (made != given.data).any()
    outside = torch.ones(200, 200, dtype=torch.bool)
    outside[60:140, 60:140] = False
    assert torch.equal(made[:, outside], given.data[:, outside])


def test_a_mask_of_the_whole_picture_is_seen_through_windows():
    whole = masked(200, 200, (60, 60, 100, 140))
    outer = crop(picture(200, 200), masked(200, 200, (60, 60, 140, 140)), CODEC, context=0.0)
    pictures = SimpleNamespace(area=lambda path, label, height, width: whole)
    seen = file(view_image(outer), pictures, outer, path="x.png").data
    assert (seen[:, :16].min(), seen[:, 16:].max()) == (1, 0)


def test_a_window_is_narrowed_to_what_was_changed_and_a_little_around_it():
    """Within the mask that it had, at its own size, whatever that of the edit is; soft masks stay as soft."""
    given = picture(256, 256)
    soft = Mask(masked(256, 256, (64, 64, 192, 192)).data * 0.5)
    window = crop(given, soft, CODEC, context=0.25)
    assert (window.image.size, window.box.size) == ((32, 32), (192, 192))
    data = window.image.data.clone()
    data[:, 6:14, 10:20] = 1 - data[:, 6:14, 10:20].round()
    top, bottom, left, right = 6 * 6, 14 * 6, 10 * 6, 20 * 6
    reached, told = [], list[str]()
    notices = SimpleNamespace(tell=told.append)
    for grow in (0, 2, 4):
        made = narrow(Image(data), window, notices, grow=grow)
        assert torch.equal(made.image.data, window.image.data)
        assert made.box == window.box
        assert torch.equal(made.mask.data[made.mask.data > 0], window.mask.data[made.mask.data > 0])
        kept = made.mask.data > 0
        assert kept[top + 6 : bottom, left:right].sum() == (window.mask.data[top + 6 : bottom, left:right] > 0).sum()
        far = torch.ones_like(kept)
        far[max(0, top - 6 * (grow + 2)) : bottom + 6 * (grow + 2), left - 6 * (grow + 2) : right + 6 * (grow + 2)] = 0
        assert not (kept & far).any()
        reached.append(int(kept.sum()))
    assert 0 < reached[0] < reached[1] < reached[2] < int((window.mask.data > 0).sum())
    assert not told
    assert not narrow(window.image, window, notices).mask.data.any(), "nothing was changed"
    assert told == ["nothing differs from the photograph, so nothing is edited from here on"]
    height, width = (2 * side for side in window.image.size)
    larger = resized(window.box.of(window.whole.data), height, width)
    assert not narrow(Image(larger), window, notices).mask.data.any(), "nor where it was enlarged"
    edited = larger.clone()
    edited[:, : height // 2] = 1 - edited[:, : height // 2]
    kept = narrow(Image(edited), window, notices).mask.data
    upper = window.mask.data.clone()
    upper[len(upper) // 2 + 8 :] = 0
    assert kept.any()
    assert not (kept > upper).any()
    with pytest.raises(ValueError, match="which is another shape"):
        narrow(picture(16, 40), window, notices)


def test_what_an_edit_did_outside_of_a_finer_mask_counts_for_nothing():
    """As if `blend pixel` had given it back, whether the mask is of pixels or of cells, hard or soft."""
    notices = SimpleNamespace(tell=list[str]().append)
    window = crop(picture(256, 256), masked(256, 256, (64, 64, 192, 192)), CODEC, context=0.25)
    edited = Image(1 - window.image.data)
    finer = Mask(masked(32, 32, (8, 12, 20, 24)).data * 0.5)
    given_back = Image(torch.where(finer.data > 0, edited.data, window.image.data))
    wanted = narrow(given_back, window, notices).mask.data
    assert 0 < int((wanted > 0).sum()) < int((window.mask.data > 0).sum())
    assert torch.equal(narrow(edited, window, notices, finer).mask.data, wanted)
    cells = Mask(torch.nn.functional.max_pool2d(finer.data[None, None], 4)[0, 0], scale=4)
    assert torch.equal(narrow(edited, window, notices, cells).mask.data, wanted)
    assert torch.equal(
        narrow(edited, window, notices, Mask(torch.ones(32, 32))).mask.data, narrow(edited, window, notices).mask.data
    )


def test_what_a_decoder_made_a_little_lighter_is_not_changed_and_neither_are_soft_edges():
    """Else a loose box would show: its ground in other colours, and the lines that it crosses."""
    flat = torch.full((3, 64, 64), 0.5)
    flat[:, 40:] = 0.9  # a horizon
    window = crop(Image(flat), Mask(torch.ones(64, 64)), CODEC, context=0.0, size=64)
    data = window.image.data + 0.05
    data[:, 40] -= 0.2  # which came back softer
    data[:, 10:20, 10:20] += 0.2
    edited = Image(data)
    told: list[str] = []
    notices = SimpleNamespace(tell=told.append)
    thing = narrow(edited, window, notices, tolerance=0.06, grow=0).mask.data > 0
    assert thing[11:19, 11:19].all()
    assert int(thing.sum()) <= 12 * 12
    assert narrow(edited, window, notices, grow=0).mask.data.all()
    assert not narrow(edited, window, notices, tolerance=0.3).mask.data.any()
    (said,) = told
    assert "nothing differs from the photograph by more than 0.3 of the range" in said


def test_a_box_outside_of_its_picture_is_no_window():
    with pytest.raises(ValueError, match="does not lie in"):
        Window(picture(8, 8), Rectangle(0, 0, 9, 8), picture(8, 8), Mask(torch.ones(8, 9)))
