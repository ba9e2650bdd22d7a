"""Large pictures are kept as bytes, their masks where they hold anything: what comes of them has the same bits."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from PIL import ImageCms

import retouch
from retouch.api import Candidates, Frame, Image, Mask, Ranked, Rectangle, Window, box_mask
from retouch.core.large.stored import LARGE, PlacedMask, StoredImage, whole
from retouch.core.turn import Turned
from retouch.core.values import TrainingPictures
from retouch.graph.folders import FilesBelow, UnfitFolder
from retouch.pictures import MAX_PIXELS
from retouch.run.files import outbox
from retouch.run.files.outbox import Decoded, FileIn, drawn
from retouch.run.store.encoding import encoded
from retouch.run.strangers.care import copied
from retouch.run.strangers.results import Declared
from retouch.testing.worlds import tiny_world
from retouch_methods.blend import pixel as pixels
from retouch_methods.crop import window as windows
from retouch_methods.crop.paste import paste
from retouch_methods.crop.window import view_image
from retouch_methods.mask.algebra import intersect, subtract, union
from retouch_methods.mask.shape import dilate, erode, feather, threshold
from retouch_methods.surround.lowpass import lowpass
from tests.laws.by_hand import at_once

crop, pixel = at_once(windows.crop), at_once(pixels.pixel)
CPU, TALL, WIDE = torch.device("cpu"), 40, 50
CODEC = tiny_world().codec


def stored(mode: str = "RGB") -> StoredImage:
    draws = np.random.default_rng(0).integers(0, 256, (TALL, WIDE, len(mode)), dtype=np.uint8)
    return StoredImage(Decoded(Picture.fromarray(draws, mode)), CPU)


def same(one: Image, other: Image) -> bool:
    alphas = (one.alpha is None) == (other.alpha is None) and (one.alpha is None or torch.equal(one.alpha, other.alpha))
    return torch.equal(one.data, other.data) and alphas


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_parts_patches_and_files_have_the_bits_of_the_whole(mode: str) -> None:
    picture, box = stored(mode), Rectangle(7, 3, 29, 31)
    plain = whole(picture)
    assert type(plain) is Image
    assert picture.size == plain.size == (TALL, WIDE)
    assert same(picture.part(box), plain.part(box))
    lower = Rectangle(20, 25, WIDE, TALL)  # meets the first
    for where in (box, lower):
        picture, plain = (each.patched(where, torch.rand(3, *where.size, generator=torch.Generator().manual_seed(1)))
                          for each in (picture, plain))  # fmt: skip
    assert isinstance(picture, StoredImage)
    assert same(picture, plain)
    assert same(picture.part(Rectangle(5, 20, 40, 40)), plain.part(Rectangle(5, 20, 40, 40)))
    assert drawn(picture).tobytes() == drawn(plain).tobytes()
    assert same(copied(whole(picture)), plain)  # as strangers' stages have it
    assert not [each for each in Declared("Image", "cpu").check(picture) if not bool(each.fine)]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_values_that_hold_stored_pictures_are_copied_kept_and_sent(mode: str) -> None:
    """As plugins of others, the store and other processes have them."""
    picture = stored(mode)
    box, plain = Rectangle(4, 5, 30, 29), whole(picture)
    window = Window(picture, box, picture.part(box), Mask(torch.ones(box.size)))
    ranked = Ranked(plain.data, plain.alpha, (picture, plain), (0.0, 1.0))
    for value, inner in (
        (ranked, lambda made: made.draws[0]),
        (Candidates((Turned(picture),)), lambda made: made.made[0].image),
        (TrainingPictures((picture,)), lambda made: made.pictures[0]),
        (window, lambda made: made.whole),
        (picture, lambda made: made),
    ):
        for made in (copied(whole(value)), copy.deepcopy(value)):
            assert type(made) is type(whole(value))
            assert type(inner(made)) is Image
            assert same(inner(made), plain)
    for value in (ranked, picture):
        assert encoded(value, lambda: None) == encoded(whole(value), lambda: None)
    placed, _ = both(MASKS["at the corner"])
    sent = copy.deepcopy(placed)
    assert isinstance(sent, PlacedMask)
    assert torch.equal(sent.data, placed.data)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_a_large_picture_brings_nothing_along_that_its_source_said(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow writes profiles, comments and places of a picture of its own accord."""
    path, exif = tmp_path / f"source.{suffix}", Picture.Exif()
    exif[0x0112], exif[0x010E] = 6, "a title"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    how: dict[str, Any] = {"lossless": True} if suffix == "webp" else {"comment": b"words"} if suffix == "jpg" else {}
    drawn(whole(stored())).save(path, exif=exif, icc_profile=profile, dpi=(300, 300), **how)
    files: list[bytes] = []
    for least in (1, LARGE):
        monkeypatch.setattr(outbox, "LARGE", least)
        image = FileIn(CPU).image(str(path), 0)
        assert isinstance(image, StoredImage) == (least == 1)
        assert not drawn(image).info
        for wanted in ("PNG", "JPEG", "TIFF", "WEBP"):
            drawn(image).save(file := io.BytesIO(), wanted)
            files.append(file.getvalue())
    assert files[:4] == files[4:]


MASKS = {
    "in the middle": Rectangle(10, 12, 30, 25),
    "at the corner": Rectangle(0, 0, 9, 6),
    "at the far corner": Rectangle(40, 30, WIDE, TALL),
    "of one pixel": Rectangle(20, 20, 21, 21),
}


def both(box: Rectangle) -> tuple[PlacedMask, Mask]:
    soft = torch.rand(box.size, generator=torch.Generator().manual_seed(2))
    placed = PlacedMask(soft, box, (TALL, WIDE))
    return placed, whole(placed)


@pytest.mark.parametrize("where", MASKS)
def test_masks_are_shaped_as_they_would_be_whole(where: str) -> None:
    placed, plain = both(MASKS[where])
    for made in (
        lambda mask: dilate(mask, pixels=3),
        lambda mask: erode(mask, pixels=2),
        lambda mask: feather(mask, pixels=4),
        lambda mask: threshold(mask, at=0.5),
        lambda mask: dilate(feather(mask, pixels=2), pixels=9),
    ):
        assert isinstance(made(placed), PlacedMask)
        assert torch.equal(made(placed).data, made(plain).data)
        assert made(placed).bounds() == made(plain).bounds()
    assert torch.equal(placed.resized(13, 11).data, plain.resized(13, 11).data)


@pytest.mark.parametrize("where", MASKS)
def test_masks_of_masks_are_what_they_would_be_whole(where: str) -> None:
    (placed, plain), (other, of_other) = both(MASKS[where]), both(MASKS["in the middle"])
    frame: Frame = stored()
    for stage in (union, intersect, subtract):
        expected = stage(plain, of_other, frame)
        for one, two in ((placed, other), (placed, of_other), (plain, other)):
            assert torch.equal(stage(one, two, frame).data, expected.data)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the mask is \[40, 50\], and the picture wants \[50, 40\]"):
        both(MASKS["of one pixel"])[0].of_pixels(WIDE, TALL)


@pytest.mark.parametrize("where", MASKS)
def test_a_window_is_cut_surrounded_and_pasted_with_the_same_bits(where: str) -> None:
    picture, (placed, plain) = stored("RGBA"), both(MASKS[where])
    made: list[Image] = []
    for image, mask in ((picture, placed), (whole(picture), plain)):
        window = crop(image, mask, CODEC, size=32, least=8)
        edited = Image(1 - view_image(window).data)
        made += [view_image(window), lowpass(edited, window), paste(edited, window)]
    assert all(same(one, other) for one, other in zip(made[:3], made[3:], strict=True))
    assert isinstance(made[2], StoredImage)
    assert drawn(made[2]).tobytes() == drawn(made[5]).tobytes()


@pytest.mark.parametrize("how", [{}, {"feather": 3}, {"seam": "poisson"}], ids=str)
@pytest.mark.parametrize("where", MASKS)
def test_a_large_picture_is_blended_in_pixels_with_the_same_bits(where: str, how: dict[str, Any]) -> None:
    source, (placed, plain) = stored("RGBA"), both(MASKS[where])
    edited = source.patched(Rectangle(2, 3, 45, 38), torch.full((3, 35, 43), 0.3))
    made = pixel(edited, source, placed, **how)
    expected = pixel(whole(edited), whole(source), plain, **how)
    assert isinstance(made, StoredImage)
    assert torch.equal(made.data == whole(source).data, expected.data == whole(source).data)
    assert torch.allclose(made.data, expected.data, rtol=0, atol=1e-6 if "seam" in how else 0)
    with pytest.raises(ValueError, match="and its source"):
        pixel(whole(edited).part(Rectangle(0, 0, 9, 9)), whole(source), plain)


def test_a_box_of_a_large_picture_is_kept_alone() -> None:
    small, large = (box_mask(Rectangle(1, 2, 4, 6), size, torch.empty(0)) for size in ((8, 9), (2000, LARGE // 2000)))
    assert type(small) is Mask
    assert small.data.sum() == 12
    assert isinstance(large, PlacedMask)
    assert large.known == (large.inner, False)
    assert large.inner.shape == (4, 3)
    empty = box_mask(Rectangle(3, 3, 3, 9), (2000, LARGE // 2000), torch.empty(0))
    assert empty.bounds() is None


def wall(path: Path, pixels: int) -> Path:
    """A large picture that takes little room, and a mask of it."""
    picture = Picture.new("L", (pixels // 1000, 1000), 200)
    picture.paste(90, (40, 40, 300, 300))
    picture.save(path, compress_level=1)
    return path


def test_files_of_large_pictures_and_masks_are_kept_as_bytes(tmp_path: Path) -> None:
    path = wall(tmp_path / "wall.png", LARGE)
    files = FileIn(CPU)
    image, mask = files.image(str(path), 0), files.area(str(path), None, 1000, LARGE // 1000)
    assert isinstance(image, StoredImage)
    assert torch.equal(image.part(Rectangle(39, 50, 41, 51)).data, torch.tensor([200.0, 90.0]).expand(3, 1, 2) / 255)
    assert isinstance(mask, PlacedMask)
    assert torch.equal(mask.data, image.data[0])


def test_all_of_a_large_picture_is_made_once_for_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it looks at it: `mask color` does three times."""
    made, real = list[Rectangle](), StoredImage._colours
    monkeypatch.setattr(StoredImage, "_colours", lambda self, box: made.append(box) or real(self, box))
    path = wall(tmp_path / "wall.png", LARGE)
    retouch.recipe('mask color name="#5a5a5a" | save mask path="mask.png"', tmp_path)(path, caption="a wall")
    assert made == [Rectangle(0, 0, LARGE // 1000, 1000)]
    assert Picture.open(tmp_path / "mask.png").getbbox() == (40, 40, 300, 300)


def test_what_needs_all_of_a_very_large_picture_is_refused_and_a_window_is_not(tmp_path: Path) -> None:
    path = wall(tmp_path / "wall.png", MAX_PIXELS + 1000)
    window = 'mask box right=1% bottom=30% | crop | invert edit_friendly "cat"->"dog" | paste'
    inverted = window.replace("bottom=30% |", "bottom=30% | mask dilate | mask invert |")
    for text in (
        "upscale lanczos",
        'tiles (invert edit_friendly "cat"->"dog")',
        f"{window} | upscale lanczos",
        inverted,
    ):
        with pytest.raises(retouch.RecipeError) as wrong:
            retouch.recipe(text, tmp_path).graphs(path, caption="a cat")
        (told,) = wrong.value.diagnostics
        assert told.code == "RT582"
        assert "'wall.png' at once, 40 megapixels; at most 40" in told.message
    assert retouch.recipe(window, tmp_path).graphs(path, caption="a cat")


@pytest.mark.thorough
def test_a_window_that_holds_nearly_all_of_a_very_large_picture_is_refused(tmp_path: Path) -> None:
    """Of how large it gets headers tell nothing."""
    path = wall(tmp_path / "wall.png", MAX_PIXELS + 1000)
    edit = retouch.recipe('mask box | crop shape="mask" | invert sdedit "cat"->"dog" | paste')
    (told,) = edit([path], caption="a cat")[0].diagnostics
    assert told.code == "RT582"
    assert "'crop window' works on so large a part at once, 40 megapixels; at most 40" in told.message


def test_a_very_large_picture_beside_the_edited_one_is_refused(tmp_path: Path) -> None:
    """References of losses and pictures to learn from are worked on whole, in brackets, too."""
    small = tmp_path / "small.png"
    Picture.new("L", (64, 32)).save(small)
    wall(tmp_path / "wall.png", MAX_PIXELS + 1000)
    led = 'eye vit | invert sdedit "cat"->"dog" | guide appearance "wall.png"'
    learnt = 'tune lora prompt="a photo" pictures="wall.png" | invert sdedit "cat"->"dog"'
    for text in (led, learnt, f"repaint ({led})"):
        with pytest.raises(retouch.RecipeError) as wrong:
            retouch.recipe(text, tmp_path).graphs(small, caption="a cat")
        assert [each.code for each in wrong.value.diagnostics] == ["RT582"]
    with pytest.raises(UnfitFolder, match="40 megapixels"):
        FilesBelow(tmp_path).size("wall.png")
    assert FilesBelow(tmp_path).size("small.png") == (32, 64)
