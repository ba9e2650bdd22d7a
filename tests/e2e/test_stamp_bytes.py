"""What `--stamp` leaves in the bytes of a result, in every format that results have."""

from __future__ import annotations

import platform
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from retouch.pictures import metadata
from retouch.run.files.provenance import _MINIMAL
from retouch.version import __version__
from tests.e2e.command import draw, retouch

RECIPE = """
let secret_word = 1
x = open | invert ddim steps=secret_word
x | save "out/x.png"
x | save "out/x.jpg"
x | save "out/x.webp"
x | save "out/x.tiff"
open | mask box right=50% | save mask "out/mask.png"
x | save latents "out/x.safetensors"
x | sheet "out/sheet.png"
x | measure "out/x.csv"
"""
OURS = ("secret_word", "invert", "a caption of mine", "kitten", "storybook", "stages", "inputs")  # what the user said
BY_PROGRAM = ("retouch", "model_digest", '"mode"', platform.python_version())


def made(folder: Path, level: str) -> dict[str, bytes]:
    """Every file that a run leaves, with what is packed in it laid open."""
    draw(folder / "kitten.png")
    done = retouch("run", "-e", RECIPE, "kitten.png", "--caption", "a caption of mine", "--stamp", level, folder=folder)
    assert done.code == 0, done.err
    return {path.name: opened(path.read_bytes()) for path in (folder / "out").iterdir() if path.suffix != ".jsonl"}


def opened(data: bytes) -> bytes:
    """The bytes, and behind them what PNG's chunks and streams of deflate come to."""
    more, at = b"", 0
    while (at := data.find(b"\x78", at)) >= 0:
        with suppress(zlib.error):
            more += zlib.decompressobj().decompress(data[at:])
        at += 1
    return data + more


@pytest.mark.parametrize("level", ["none", "minimal", "full"])
def test_a_file_says_what_its_stamp_allows_and_not_a_word_more(tmp_path, level):
    files = made(tmp_path, level)
    wanted = {"x.png", "x.jpg", "x.webp", "x.tiff", "mask.png", "x.safetensors", "sheet.png", "x.csv"}
    assert files.keys() == wanted
    for name, data in files.items():
        own = {"kitten"} if name in ("x.csv",) else set[str]()  # a table names its rows
        said = {word for word in OURS if word.encode() in data} - own
        if level == "none":
            assert not said, name
            assert not {word for word in BY_PROGRAM if word.encode() in data}, name
            assert metadata(tmp_path / "out" / name) is None
        told = metadata(tmp_path / "out" / name) or {}
        if level == "minimal":
            assert not said, name
            assert set(told) <= {*_MINIMAL, "pixels"}, name
            assert told["retouch"] == __version__
        if level == "full":
            assert "secret_word" in said, name
            assert "secret_word" in told["recipe"]
    home = str(tmp_path).encode()
    assert not [name for name, data in files.items() if home in data]
