"""Large pictures are read and written some rows at a time: what comes of it is what comes of all at once."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from retouch.pictures import About, Changed, Unreadable, bands, decoded, formats, metadata, read_about
from retouch.pictures.bands import png
from retouch.pictures.bands.file import in_bands
from retouch.pictures.bands.png import SIGNATURE, chunk, inflated
from retouch.pictures.pixels import pixels_at
from retouch.pictures.writing import How, encode

TALL, WIDE = 157, 51
_draws = np.random.default_rng(0).integers(0, 256, (TALL, WIDE, 4), dtype=np.uint8)
_draws[20:130] = np.linspace(0, 255, 110, dtype=np.uint8)[:, None, None]  # which each filter suits in other rows
COLOURS = Image.fromarray(_draws)
RGB, GREY = COLOURS.convert("RGB"), COLOURS.convert("L")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MODES: dict[str, Image.Image] = {
    "RGB": RGB,
    "RGBA": COLOURS,
    "L": GREY,
    "LA": COLOURS.convert("LA"),
    "P": RGB.quantize(200),
    "1": RGB.convert("1"),
    "I;16": Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257 + 3),
    "CMYK": RGB.convert("CMYK"),
    "F": Image.fromarray(np.asarray(GREY).astype(np.float32) / 255),
}
DEFLATED = {"compression": "tiff_deflate"}
PNGS: dict[str, tuple[str, dict[str, Any]]] = {
    **{mode: (mode, {}) for mode in MODES if mode not in ("CMYK", "F")},
    "sixteen colours": ("P", {"bits": 4}),
    "see-through colours": ("P", {"transparency": bytes(range(200))}),
    "one see-through colour": ("RGB", {"transparency": tuple(_draws[3, 3, :3].tolist())}),
    "profile": ("RGB", {"icc_profile": SRGB}),
}
TIFFS: dict[str, tuple[str, dict[str, Any]]] = {
    **{mode: (mode, {**DEFLATED, "strip_size": 900}) for mode in MODES},
    "plain": ("RGB", {"strip_size": 900}),
    "plain, one strip": ("CMYK", {}),
    "predicted": ("RGB", {"compression": "tiff_lzw", "tiffinfo": {317: 2, 278: 16}}),
    "as JPEG": ("RGB", {"compression": "jpeg", "strip_size": 3000}),
    "packed": ("L", {"compression": "packbits", "strip_size": 900}),
    "tiles": ("RGBA", {"tile": (32, 48)}),
    "tiles of a palette": ("P", {"tile": (32, 48)}),
}
FILES = [("png", *each) for each in PNGS.items()] + [("tif", *each) for each in TIFFS.items()]


@pytest.fixture(autouse=True)
def _small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "BAND", 70 * WIDE)


def saved(path: Path, mode: str, how: dict[str, Any]) -> Path:
    picture = RGB.quantize(13) if "bits" in how else MODES[mode]
    if "tile" in how:
        path.write_bytes(tiled(picture, *how["tile"]))
    else:
        picture.save(path, **how)
    return path


def tiled(picture: Image.Image, wide: int, tall: int) -> bytes:
    """A TIFF of deflated tiles, which Pillow does not write."""
    places = [(left, top) for top in range(0, TALL, tall) for left in range(0, WIDE, wide)]
    tiles = [zlib.compress(picture.crop((x, y, x + wide, y + tall)).tobytes()) for x, y in places]
    tags = ImageFileDirectory_v2()
    alpha, palette = {338: 2}, {320: tuple(257 * each for each in picture.getpalette() or ())}
    plain = {256: WIDE, 257: TALL, 258: (8,) * len(picture.getbands()), 259: 8, 277: len(picture.getbands())}
    more = {262: 3, **palette} if picture.mode == "P" else {262: 2, **alpha}
    for tag, value in {**plain, **more, 322: wide, 323: tall}.items():
        tags[tag] = value
    tags.tagtype[324] = tags.tagtype[325] = 4
    tags[324], tags[325] = (0,) * len(tiles), tuple(map(len, tiles))
    start = 8 + len(tags.tobytes(8))
    tags[324] = tuple(accumulate(map(len, tiles[:-1]), initial=start))
    return b"II*\0\x08\0\0\0" + tags.tobytes(8) + b"".join(tiles)


@pytest.mark.parametrize(("ending", "name", "what"), FILES, ids=[f"{each[0]}, {each[1]}" for each in FILES])
def test_rows_of_a_file_are_those_of_the_whole(
    ending: str, name: str, what: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    path = saved(tmp_path / f"a.{ending}", *what)
    expected, notices = decoded(path)
    found = in_bands(path, TALL * WIDE)
    assert found
    assert (found.width, found.height, found.mode) == (*expected.size, expected.mode)
    assert found.notices == notices
    for top, bottom in ((0, TALL), (60, 61), (TALL - 5, TALL)):
        made = Image.new(expected.mode, expected.size)
        rows = list(found.bands(top, bottom))
        assert len(rows) > 1 or bottom - top < TALL
        for first, band in rows:
            made.paste(band, (0, first))
        part = (0, top, WIDE, bottom)
        assert made.crop(part).tobytes() == expected.crop(part).tobytes()
    assert in_bands(path, TALL * WIDE + 1) is None


@pytest.mark.parametrize("why", ["interlaced", "turned", "two pages", "16 bits a colour", "jpeg"])
def test_what_no_rows_can_be_read_of_is_decoded_whole(why: str, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    path = tmp_path / {"two pages": "a.tif", "jpeg": "a.jpg"}.get(why, "a.png")
    match why:
        case "interlaced" | "16 bits a colour":
            kind = bytes((8, 2, 0, 0, 1)) if why == "interlaced" else bytes((16, 2, 0, 0, 0))
            head = np.array([1, 1], dtype=">u4").tobytes() + kind
            rows = zlib.compress(bytes(1 + 3 * kind[0] // 8))
            path.write_bytes(SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
        case "turned":
            RGB.save(path, exif=turned)
        case "two pages":
            RGB.save(path, save_all=True, append_images=[RGB])
        case _:
            RGB.save(path)
    assert in_bands(path, 1) is None
    assert decoded(path)[0].size in ((WIDE, TALL), (TALL, WIDE), (1, 1))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_file_that_ends_too_early_or_is_changed_is_told(ending: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a.{ending}", "RGB", DEFLATED if ending == "tif" else {})
    found = in_bands(path, 1)
    assert found
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    with pytest.raises(Unreadable, match="has been changed since it was opened"):
        list(found.bands())
    path.write_bytes(whole)
    found = in_bands(path, 1)
    assert found
    rows = found.bands()
    next(rows)
    path.write_bytes(whole[: len(whole) // 2])  # in the midst of reading
    with pytest.raises(Changed):
        list(rows)
    cut = tmp_path / f"cut.{ending}"
    saved(cut, "RGB", {})
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    with pytest.raises(Unreadable, match="is damaged or cut off"):
        in_bands(cut, 1)


@pytest.mark.parametrize("rows", [TALL, 16384])  # of the second, what is inflated ends where a piece of it does
def test_damage_is_told_when_a_png_is_opened_up_to_its_checksum(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (63, rows)).save(path)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.rindex(b"IEND") - 9] ^= 1  # the last byte of the stream
    path.write_bytes(damaged)
    with pytest.raises(Unreadable, match="is damaged or cut off"):
        in_bands(path, 1)


def test_damage_is_told_when_a_tiff_is_opened_and_not_when_its_last_rows_are_wanted(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", "RGB", {**DEFLATED, "strip_size": 900})
    with Image.open(path) as image:
        last = image.tag_v2[273][-1]  # pyright: ignore[reportAttributeAccessIssue] (of a TIFF)
    damaged = bytearray(path.read_bytes())
    damaged[last : last + 8] = b"\xff" * 8
    path.write_bytes(damaged)
    with pytest.raises(Unreadable, match="is damaged or cut off"):
        in_bands(path, 1)


@dataclass(frozen=True)
class InBands:
    picture: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        return self.picture.size

    @property
    def mode(self) -> str:
        return self.picture.mode

    def bands(self, rows: int) -> Iterator[Image.Image]:
        for top in range(0, TALL, rows):
            yield self.picture.crop((0, top, WIDE, min(TALL, top + rows)))


SAYS = About(
    exif={0x8298: "me", 0x010E: "a title"},
    more={0x9003: "2020:01:01 00:00:00"},
    dpi=(300, 300),
    profile=SRGB,
    xmp=b'<x:xmpmeta tiff:Orientation="6"/>',
    text={"comment": "hello"},
)


def test_what_stands_behind_a_picture_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty-four megabytes behind ten kilobytes, in a file of as many."""
    looked_at = list[int]()

    def counted(path: Path) -> Iterator[bytes]:
        for piece in inflated(path):
            looked_at.append(len(piece))
            yield piece

    monkeypatch.setattr(png, "inflated", counted)
    path, rows = tmp_path / "a.png", b"".join(b"\0" + line.tobytes() for line in _draws[..., :1])
    header = WIDE.to_bytes(4) + TALL.to_bytes(4) + bytes((8, 0, 0, 0, 0))
    data = zlib.compress(rows + bytes(64 << 20))
    path.write_bytes(SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    found = in_bands(path, TALL * WIDE)
    assert found
    seen = np.concatenate([np.asarray(band) for _, band in found.bands()])
    assert (seen[..., 0] == _draws[..., 0]).all()
    assert max(looked_at) <= 1 << 20
    assert len(looked_at) <= 3


@pytest.mark.parametrize("quality", [None, 70])
@pytest.mark.parametrize("kept", [About(), SAYS], ids=["nothing kept", "all kept"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_a_file_that_is_written_in_bands_holds_and_says_the_same(
    ending: str, mode: str, kept: About, quality: int | None, tmp_path: Path
) -> None:
    format, told = formats.of_file(f"a.{ending}"), {"recipe": "x | y", "work": "0" * 64}
    assert format
    paths, notices = [tmp_path / f"{name}.{ending}" for name in ("whole", "bands")], list[tuple[str, ...]]()
    for path, picture in zip(paths, (MODES[mode], InBands(MODES[mode])), strict=True):
        with path.open("wb") as opened:
            notices.append(
                encode(opened, picture, format, told, How(quality if "quality" in format.options else None, 0, kept))
            )
    assert notices[0] == notices[1]
    whole, other = (Image.open(path) for path in paths)
    assert (whole.mode, whole.tobytes()) == (other.mode, other.tobytes())
    assert metadata(paths[0]) == metadata(paths[1]) == {**told, "pixels": pixels_at(paths[1])}
    assert read_about(paths[0]) == read_about(paths[1])


def test_bands_are_made_smaller_and_say_nothing_as_the_whole_does() -> None:
    format = formats.of_file("a.png")
    assert format
    for how, told in ((How(None, 40), {"recipe": "x"}), (How(), {})):
        files = [io.BytesIO(), io.BytesIO()]
        for opened, picture in zip(files, (RGB, InBands(RGB)), strict=True):
            encode(opened, picture, format, told, how)
        one, two = (Image.open(each) for each in files)
        assert one.tobytes() == two.tobytes()
        assert one.info == two.info


@pytest.mark.parametrize("name", ["a.png", "a.tif", "two.tif", "turned.tif", "a.jpg", "a.webp"])
def test_what_pillow_takes_for_a_bomb_is_read_and_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses pictures of more than 179 megapixels, also where it goes from page to page or has written one."""
    path, turned = tmp_path / name, Image.Exif()
    turned[0x0112] = 6 if name == "turned.tif" else 1
    how = {"save_all": True, "append_images": [GREY]} if name == "two.tif" else {"exif": turned}
    RGB.save(path, **how)
    expected, notices = decoded(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", TALL * WIDE // 2 - 1)
    found, again = decoded(path)
    assert (found.tobytes(), again) == (expected.tobytes(), notices)
    assert bool(notices) == (name == "two.tif")
    if rows := in_bands(path, 1):
        assert list(rows.bands())
    format = formats.of_file(name)
    assert format
    for picture in (RGB, InBands(RGB)):
        encode(opened := io.BytesIO(), picture, format, {"recipe": "x"}, How())
        path.write_bytes(opened.getvalue())
        assert (metadata(path) or {})["pixels"] == pixels_at(path)
    assert Image.MAX_IMAGE_PIXELS == TALL * WIDE // 2 - 1
