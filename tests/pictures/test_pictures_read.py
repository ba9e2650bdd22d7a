"""Every kind of picture becomes upright 8-bit sRGB, and what was converted is said."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from retouch.pictures import DecodedPicture, inspect, read
from tests.pictures.picture_makers import deep_png, header, noise, png_of, swapped_profile


def saved(path: Path, image: Image.Image, **options: object) -> DecodedPicture:
    image.save(path, **options)
    return read(path)


def test_inspect_says_what_the_header_says(photo: Path) -> None:
    info = inspect(photo)
    assert (info.path, info.width, info.height, info.mode, info.format) == (photo, 40, 30, "RGB", "PNG")


def test_an_ordinary_picture_is_read_without_notices(photo: Path) -> None:
    picture = read(photo)
    assert np.array_equal(picture.rgb, noise(30, 40))
    assert picture.alpha is None
    assert picture.notices == ()
    assert picture.rgb.flags.c_contiguous


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_come_out_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.kron(noise(3, 5), np.ones((16, 16, 1), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"cat.{suffix}"
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    info, picture = inspect(path), read(path)
    assert (info.height, info.width) == upright.shape[:2] == picture.rgb.shape[:2]
    difference = np.abs(picture.rgb.astype(int) - upright).max()
    assert difference <= (40 if suffix == "jpg" else 0)


def test_a_nonsensical_orientation_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert saved(tmp_path / "cat.png", Image.fromarray(noise(4, 6)), exif=exif).rgb.shape == (4, 6, 3)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_alpha_is_kept_with_the_colours_under_it(tmp_path: Path, suffix: str) -> None:
    pixels = noise(9, 7, 4)
    pixels[:3, :, 3] = 0
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    picture = saved(tmp_path / f"cat.{suffix}", Image.fromarray(pixels), **options)
    assert np.array_equal(picture.rgb, pixels[..., :3])
    assert np.array_equal(picture.alpha, pixels[..., 3])


def test_grey_becomes_colour(tmp_path: Path) -> None:
    grey = noise(9, 7, 1)[..., 0]
    picture = saved(tmp_path / "cat.png", Image.fromarray(grey))
    assert np.array_equal(picture.rgb, np.repeat(grey[..., None], 3, 2))
    assert picture.notices == ("grey, read as colour",)


def test_grey_with_alpha_keeps_it(tmp_path: Path) -> None:
    pixels = noise(9, 7, 2)
    picture = saved(tmp_path / "cat.png", Image.fromarray(pixels, "LA"))
    assert np.array_equal(picture.alpha, pixels[..., 1])


def test_black_and_white_is_0_and_255(tmp_path: Path) -> None:
    picture = saved(tmp_path / "cat.png", Image.fromarray(noise(9, 7, 1)[..., 0] > 127))
    assert set(picture.rgb.ravel()) == {0, 255}
    assert picture.notices == ("black and white, read as colour",)


def test_a_palette_with_transparency_becomes_colours_and_alpha(tmp_path: Path) -> None:
    image = Image.fromarray((noise(9, 7, 1)[..., 0] % 3).astype(np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = saved(tmp_path / "cat.png", image, transparency=bytes([0, 128, 255]))
    index = np.asarray(image)
    assert np.array_equal(picture.rgb, np.eye(3, dtype=np.uint8)[index] * 255)
    assert np.array_equal(picture.alpha, np.array([0, 128, 255], np.uint8)[index])
    assert picture.notices == ("palette, read as full colour",)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    picture = saved(tmp_path / "cat.tif", Image.new("CMYK", (4, 4), (0, 255, 255, 0)))
    assert picture.rgb[0, 0].tolist() == [255, 0, 0]
    assert picture.notices == ("CMYK, converted to RGB",)


def test_sixteen_bits_of_grey_are_rounded(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)[..., None]
    (tmp_path / "cat.png").write_bytes(deep_png(values, 0))
    picture = read(tmp_path / "cat.png")
    assert picture.rgb[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert "16 bits a channel, reduced to 8" in picture.notices


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4)])
def test_sixteen_bits_of_colour_are_reduced_with_a_notice(tmp_path: Path, colour: int, channels: int) -> None:
    values = noise(5, 6, channels).astype(np.uint16) * 257
    (tmp_path / "cat.png").write_bytes(deep_png(values, colour))
    picture = read(tmp_path / "cat.png")
    assert np.array_equal(picture.rgb, (values // 257)[..., :3])
    assert picture.notices == ("16 bits a channel, reduced to 8",)
    assert (picture.alpha is not None) == (channels == 4)


def test_floating_point_is_read_from_0_to_1(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0, 7.0, -1.0, np.nan]], np.float32)
    picture = saved(tmp_path / "cat.tif", Image.fromarray(values))
    assert picture.rgb[0, :, 0].tolist() == [0, 128, 255, 255, 0, 0]
    assert any("floating point" in notice for notice in picture.notices)


def profile(name: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    picture = saved(tmp_path / "cat.png", Image.fromarray(noise(9, 7)), icc_profile=profile("sRGB"))
    assert np.array_equal(picture.rgb, noise(9, 7))
    assert picture.notices == ()


def test_another_profile_is_converted_with_a_notice(tmp_path: Path) -> None:
    pixels = noise(9, 7, 4)
    pixels[0, 0, :3], pixels[0, 1, :3] = 128, (200, 100, 50)
    picture = saved(tmp_path / "cat.png", Image.fromarray(pixels), icc_profile=swapped_profile())
    assert picture.notices == ("colours converted from 'Swapped' to sRGB",)
    assert picture.rgb[0, 1, 0] < picture.rgb[0, 1, 2]  # red and blue of this profile are exchanged
    assert np.array_equal(picture.alpha, pixels[..., 3])


def test_a_profile_that_does_not_fit_is_ignored_with_a_notice(tmp_path: Path) -> None:
    for number, icc in enumerate((b"not a profile", profile("sRGB")[:200])):
        picture = saved(tmp_path / f"{number}.png", Image.fromarray(noise(9, 7)), icc_profile=icc)
        assert np.array_equal(picture.rgb, noise(9, 7))
        assert picture.notices == ("colour profile ignored, because it does not fit the picture",)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_of_several_pictures_the_first_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(noise(8, 9, seed=i)) for i in range(4)]
    options = {"lossless": True} if suffix == "webp" else {}
    picture = saved(tmp_path / f"cat.{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
    assert np.array_equal(picture.rgb, noise(8, 9))
    assert picture.notices == ("first of several pictures in the file",)


def test_the_longer_side_is_scaled_down_and_never_up(photo: Path) -> None:
    assert read(photo, size=20).rgb.shape == (15, 20, 3)
    assert np.array_equal(read(photo, size=400).rgb, noise(30, 40))
    assert read(photo, size=1).rgb.shape == (1, 1, 3)


def test_scaling_does_not_let_hidden_colours_bleed(tmp_path: Path) -> None:
    pixels = np.full((32, 32, 4), 255, np.uint8)
    pixels[:, 15:] = (0, 0, 0, 0)
    picture = saved(tmp_path / "cat.png", Image.fromarray(pixels))
    assert picture.alpha is not None
    small = read(tmp_path / "cat.png", size=8)
    assert small.alpha is not None
    assert (small.rgb[small.alpha > 0] == 255).all()


def test_an_orientation_behind_the_pixels_is_not_read(tmp_path: Path) -> None:
    """Both looks agree, and the first need not decode the picture to find it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    rows = b"".join(b"\0" + bytes(9 * 3) for _ in range(5))
    late = png_of(header(9, 5, 8, 2), (b"IDAT", zlib.compress(rows)), (b"eXIf", exif.tobytes()[6:]))
    (tmp_path / "cat.png").write_bytes(late)
    assert (inspect(tmp_path / "cat.png").width, read(tmp_path / "cat.png").rgb.shape) == (9, (5, 9, 3))
