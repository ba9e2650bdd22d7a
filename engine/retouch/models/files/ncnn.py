"""Weights in ncnn's two files: what layers there are, as text, and their numbers without a header of their own.

Convolutions alone are read, in their order: the first is `0.weight`, [out, in, k, k], and `0.bias`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from retouch.models.errors import BrokenModel
from retouch.models.files.headers import Header, Stored

ENDING, BESIDE = ".bin", ".param"
_MAGIC, _HALF, _FULL = "7767517", 0x01306B47, 0  # of the text; before weights of 16 bits, and of 32
_LONGEST = 10_000_000  # bytes of the text


def is_ncnn(path: Path) -> bool:
    """Whether a file is the numbers of such a pair."""
    return path.suffix == ENDING and path.with_suffix(BESIDE).is_file()


def read_ncnn(path: Path) -> Header:
    """Where each convolution's numbers lie; what the text does not fit to the last byte is BrokenModel."""
    try:
        size, beside = path.stat().st_size, path.with_suffix(BESIDE)
        if beside.stat().st_size > _LONGEST:
            raise BrokenModel(f"'{beside}' is no text of ncnn")
        lines = beside.read_text("ascii").split("\n")
        with path.open("rb") as file:
            tensors = dict(_convolutions(lines, file, size))
    except (OSError, ValueError, KeyError, IndexError) as why:
        raise BrokenModel(f"'{path}' and its .param cannot be read as ncnn's: {why}") from None
    end = max((each.end for each in tensors.values()), default=0)
    if lines[0].strip() != _MAGIC or end != size:
        raise BrokenModel(f"'{path}' has {size:,} bytes, and its .param speaks of {end:,}")
    return Header(path, tensors, {})


def _convolutions(lines: list[str], file: BinaryIO, size: int) -> Iterator[tuple[str, Stored]]:
    at = count = 0
    for line in lines[2:]:
        kind, *rest = line.split() or [""]
        if kind != "Convolution":
            continue
        said = dict(part.split("=", 1) for part in rest if "=" in part)
        out, kernel, numbers = int(said["0"]), int(said["1"]), int(said["6"])
        inner, left = divmod(numbers, out * kernel * kernel)
        file.seek(at)
        flag = int.from_bytes(file.read(4), "little")
        if left or numbers <= 0 or flag not in (_HALF, _FULL):
            raise ValueError(f"convolution {count} is not stored as numbers of 16 or 32 bits")
        width, begin = (2, at + 4) if flag == _HALF else (4, at + 4)
        shape = (out, inner, kernel, kernel)
        yield f"{count}.weight", Stored("F16" if flag == _HALF else "F32", shape, begin, begin + width * numbers)
        at = begin + -(-width * numbers // 4) * 4
        if said.get("5") == "1":
            yield f"{count}.bias", Stored("F32", (out,), at, at + 4 * out)
            at += 4 * out
        if at > size:
            raise ValueError(f"it is cut off at convolution {count}")
        count += 1
