"""Whatever bytes a picture file has, its readers give a picture or a sentence: never another error, never endless time.

`make soak` tries more of them, and atheris, where it is installed, is led by what the bytes reach (`fuzz_readers.py`).
"""

from __future__ import annotations

import io
import os
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import process_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retouch import pictures
from retouch.pictures import Unreadable, stamp
from retouch.pictures.credentials import holds_credentials
from retouch.pictures.formats import FORMATS
from retouch.pictures.masks import UnfitMask
from retouch.pictures.writing import How, encode, grey_picture, picture

SOAK = int(os.environ.get("RETOUCH_SOAK", "100"))
WRITTEN = [format for format in FORMATS if format.written]
STAMP = {"retouch": "0", "recipe": "invert ddim", "inputs": '{"cat.png": "00"}'}


@cache
def seeds() -> tuple[bytes, ...]:
    """A small picture and a mask in each format, with a stamp."""
    import numpy as np

    rgb = np.arange(20 * 12 * 3, dtype=np.uint8).reshape(20, 12, 3)
    made: list[bytes] = []
    for format in WRITTEN:
        for image in (picture(rgb, rgb[..., 0] if format.alpha else None), grey_picture(rgb[..., 1])):
            encode(out := io.BytesIO(), image, format, STAMP, How())
            made.append(out.getvalue())
    return tuple(made)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A seed with bytes changed, cut, doubled or moved; of a PNG the checksums are mostly made right again."""
    data = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data) - 1)) if data else 0
        match draw(st.sampled_from(["set", "set", "set", "cut", "insert", "number", "repeat"])):
            case "set":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del data[at : at + draw(st.integers(1, 40))]
            case "insert":
                data[at:at] = draw(st.binary(max_size=20))
            case "number":
                data[at : at + 4] = draw(
                    st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\xff\xff"])
                )
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 60))]
    return repaired(bytes(data)) if draw(st.booleans()) else bytes(data)


def repaired(data: bytes) -> bytes:
    """The same with the checksums of PNG's chunks, so that what is wrong in them is reached."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    out, at = data[:8], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if at + 12 + length > len(data):
            break
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 4] + body + zlib.crc32(body).to_bytes(4)
        at += 12 + length
    return out + data[at:]


def try_readers(path: Path) -> None:
    """Everything that reads a picture or what it says of itself."""
    said: list[str] = []
    begun = process_time()  # of this process alone, however busy the machine
    for read in (pictures.inspect, pictures.read, pictures.read_about, lambda each: pictures.read_mask(each, None)):
        try:
            read(path)
        except (Unreadable, UnfitMask) as why:
            said.append(str(why))
    assert all(each and "\n" not in each for each in said)
    told = stamp.metadata(path)
    assert told is None or all(isinstance(each, str) for pair in told.items() for each in pair)
    stamp.damaged(path)
    assert holds_credentials(path) in (True, False)
    assert process_time() - begun < 10


@settings(max_examples=SOAK, suppress_health_check=list(HealthCheck))
@given(data=damaged())
def test_any_damaged_picture_is_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "fuzzed.png"
    path.write_bytes(data)
    try_readers(path)


@settings(max_examples=SOAK // 4, suppress_health_check=list(HealthCheck))
@given(
    text=st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(repr)),
    deep=st.integers(0, 3000),
)
def test_any_text_in_place_of_a_stamp_is_a_stamp_or_none(
    tmp_path_factory: pytest.TempPathFactory, text: str, deep: int
):
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from retouch.cli.reporting import Refusal
    from retouch.cli.stamped import stamp_of

    path = tmp_path_factory.getbasetemp() / "stamped.png"
    info = PngInfo()
    said = text if deep % 2 else '{"retouch": "0", "stages": "' + "[" * deep + '", "inputs": ' + repr(text) + "}"
    info.add_itxt(stamp.KEY, said.encode("utf-8", "replace").decode())
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    try_readers(path)
    with suppress(Refusal):
        found = stamp_of(path)
        assert all(isinstance(value, str) for value in (*found.inputs.values(), *found.told.values()))
