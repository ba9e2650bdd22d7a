"""What is no picture, or too much of one, is refused with one plain sentence."""

from __future__ import annotations

import os
import resource
import shlex
import struct
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from retouch.pictures import Unreadable, inspect, metadata, read
from retouch.pictures.opening import LARGEST, opened
from tests.pictures.picture_makers import header, noise, png_of

KINDS = {"png": {}, "jpg": {}, "webp": {"lossless": True}, "tif": {}, "bmp": {}}


def refusal(path: Path) -> str:
    with pytest.raises(Unreadable) as first:
        inspect(path)
    with pytest.raises(Unreadable) as second:
        read(path)
    assert str(first.value) == str(second.value)
    return str(first.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "cat.png") == f"'{tmp_path}/cat.png' does not exist"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"'{tmp_path}' is a folder"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").touch()
    assert refusal(tmp_path / "cat.png").endswith("is empty")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cat.png")
    assert refusal(tmp_path / "cat.png").endswith("is not a regular file")


def test_a_name_too_long_is_refused(tmp_path: Path) -> None:
    assert "cannot be opened" in refusal(tmp_path / ("x" * 5000)) or os.name == "nt"


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").symlink_to("cat.png")
    refusal(tmp_path / "cat.png")


def test_a_text_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_text("not a picture at all")
    assert "is not a PNG, JPEG, WebP, TIFF or BMP picture" in refusal(tmp_path / "cat.png")


def test_other_formats_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(8, 8, seed=i)) for i in range(50)]
    frames[0].save(tmp_path / "cat.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(noise(8, 8)).save(tmp_path / "cat.ppm")
    (tmp_path / "cat.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name, said in (("cat.gif", "is a GIF"), ("cat.ppm", "is a netpbm picture"), ("cat.eps", "is not a PNG")):
        assert said in refusal(tmp_path / name)


@pytest.mark.parametrize("kind", ["gif", "avif", "jp2", "ico", "ppm"])
def test_what_it_says_to_type_makes_a_picture_that_is_read(tmp_path: Path, kind: str) -> None:
    """Of every kind that Pillow reads, whatever its name; and nothing that was there is written over."""
    there, path = tmp_path / "my cat.png", tmp_path / f"my cat.{kind}"
    there.write_bytes(b"mine")
    Image.fromarray(noise(16, 16)).save(path)
    with pytest.raises(Unreadable) as wrong:
        inspect(path)
    words = shlex.split(wrong.value.mend.partition("write a PNG of it: ")[2])
    subprocess.run([sys.executable, *words[1:]], check=True)
    assert inspect(words[-1]).width == 16
    assert there.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("data", "what", "mend"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC", "heif-convert"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "is a film", "one picture"),
        (b"<!-- saved -->\n<!DOCTYPE html><html>", "is a web page", "download it again"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG", "as PNG"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS", "git lfs pull"),
        (bytes(600), "holds zeros alone", "download it again"),
        (b"<!---->" * 72, "is not a PNG", "as PNG"),  # in no time: a pattern may try every way to part them
        (b"", "is empty", "download it again"),
        (b"PK\3\4" + bytes(40), "is an archive", "unpack it"),
    ],
)
def test_a_file_that_is_no_picture_is_called_what_it_is(tmp_path: Path, data: bytes, what: str, mend: str) -> None:
    """With what to do about it, whatever its name says."""
    (tmp_path / "cat.png").write_bytes(data)
    with pytest.raises(Unreadable) as wrong:
        inspect(tmp_path / "cat.png")
    assert what in str(wrong.value)
    assert mend in wrong.value.mend


def test_a_thumbnail_in_front_of_a_raw_picture_is_not_taken_for_it(tmp_path: Path) -> None:
    """As in NEF and DNG: the first page says that it is a smaller version."""
    Image.fromarray(noise(8, 8)).save(tmp_path / "cat.tif", tiffinfo={254: 1})
    assert "begins with a thumbnail" in refusal(tmp_path / "cat.tif")


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.8])
def test_a_picture_cut_off_anywhere_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"cat.{suffix}"
    Image.fromarray(noise(60, 80)).save(path, **KINDS[suffix])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(Unreadable):
        read(path)


def test_a_line_of_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    """39 megapixels in one row or column are under the limit, and cost decoders a gigabyte."""
    for name, sides in (("row.png", (39_000_000, 1)), ("column.png", (1, 39_000_000))):
        (tmp_path / name).write_bytes(png_of(header(*sides, 8, 2), (b"IDAT", b"")))
        assert "sides of at most 100,000" in refusal(tmp_path / name)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_of_a_million_strips_is_refused_in_a_moment(tmp_path: Path, order: str, big: bool) -> None:
    many, sign = 1_000_000, b"II" if order == "<" else b"MM"
    head = (
        sign + struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else sign + struct.pack(f"{order}HI", 42, 16) + bytes(8)
    )
    entries = [(256, 4, 1, 16), (257, 4, 1, many), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, many, 300)]
    entries += [(278, 4, 1, 1), (279, 4, many, 300 + 4 * many)]
    count, entry = ("Q", "HHQQ") if big else ("H", "HHII")
    data = head + struct.pack(f"{order}{count}", len(entries))
    data += b"".join(struct.pack(f"{order}{entry}", *each) for each in entries)
    (tmp_path / "strips.tif").write_bytes(data.ljust(300, b"\0") + bytes(8 * many + 16))
    began = time.process_time()
    assert "cut into 1,000,000 pieces" in refusal(tmp_path / "strips.tif")
    assert time.process_time() - began < 5


def test_a_picture_over_the_limit_is_refused_from_its_header(tmp_path: Path) -> None:
    """A few hundred bytes that claim 401 megapixels and more cost no time and no memory."""
    for side, said in ((20_020, "megapixels"), (30_000, "megapixels"), (2**31 - 1, "sides of at most 100,000")):
        (tmp_path / "bomb.png").write_bytes(png_of(header(side, side, 8, 2), (b"IDAT", b"")))
        before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert said in refusal(tmp_path / "bomb.png")
        assert time.process_time() - before < 5
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 20_000


def test_whatever_order_threads_close_pictures_in_the_process_is_as_it_was(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters of warnings and Pillow's limit are everyone's: one thread may put back what another has put there."""
    seen: list[int | None] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: seen.append(Image.MAX_IMAGE_PIXELS) or real(*a, **k))
    filters, limit = [*warnings.filters], Image.MAX_IMAGE_PIXELS
    with ExitStack() as first, ExitStack() as last:  # the second ends before the first
        first.enter_context(opened(photo, LARGEST))
        last.enter_context(opened(photo, LARGEST))
        first.close()
        assert warnings.filters[0][0] == "ignore"  # the one that is still open is read in silence
    assert [*warnings.filters] == filters
    assert seen == [limit, limit]


def test_the_limit_can_be_set(photo: Path) -> None:
    assert inspect(photo, max_pixels=30 * 40).width == 40
    with pytest.raises(Unreadable, match="is 40 x 30 pixels"):
        inspect(photo, max_pixels=30 * 40 - 1)


@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), suffix=st.sampled_from(sorted(KINDS)))
def test_a_changed_byte_gives_a_picture_or_a_refusal(tmp_path_factory, at: float, byte: int, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"changed.{suffix}"
    Image.fromarray(noise(16, 16)).save(path, **KINDS[suffix])
    data = bytearray(path.read_bytes())
    data[int(at**3 * len(data))] = byte  # the cube: most of it near the header
    path.write_bytes(data)
    try:
        assert read(path).rgb.ndim == 3
        inspect(path)
    except Unreadable as why:
        said = str(why)
    else:
        said = str(path)
    assert str(path) in said
    metadata(path)


def test_looking_at_pictures_needs_no_torch_and_starts_light() -> None:
    code = "import sys, retouch.pictures; print({'torch', 'PIL', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
