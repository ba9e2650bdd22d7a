"""Headers of safetensors files: names, types, shapes and places of tensors, read and held to without a tensor.

The format: eight bytes of length, little-endian; so many bytes of JSON; then the tensors, without gaps.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from retouch.models.errors import BrokenModel

# Bits of one number.  Types of less than eight are packed by their writers and are not read.
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
LONGEST = 100_000_000  # bytes of a header; the library's own limit


class Stored(NamedTuple):
    """One tensor of a file: where its numbers lie, in bytes from the file's beginning."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def numbers(self) -> int:
        """How many there are."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself before its numbers."""

    path: Path
    tensors: Mapping[str, Stored] = field(repr=False)
    metadata: Mapping[str, str] = field(repr=False)


def read_header(path: Path) -> Header:
    """Read and check a header: a file that it does not fit to the last byte is BrokenModel."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BrokenModel(f"'{path}' is not a file")
        with path.open("rb") as file:
            first = file.read(8)
            length = int.from_bytes(first, "little")
            if len(first) < 8 or length > min(status.st_size - 8, LONGEST):
                raise BrokenModel(f"'{path}' is cut off, or is not a safetensors file")
            text = file.read(length)
    except OSError as why:
        raise BrokenModel(f"'{path}' cannot be read: {why.strerror or why}") from None
    return _parsed(path, text, status.st_size)


@lru_cache(maxsize=16)  # a model is described in several looks at the same few files
def _parsed(path: Path, text: bytes, size: int) -> Header:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise BrokenModel(f"the header of '{path}' is not JSON; it is damaged, or not a safetensors file") from None
    if not isinstance(said, dict):
        raise BrokenModel(f"the header of '{path}' is not a JSON object")
    metadata = said.pop("__metadata__", {})
    begins = 8 + len(text)
    tensors = {name: _stored(path, name, entry, begins) for name, entry in said.items()}
    # Tensors fill the file, each byte once: a file that was cut, or lies, does not
    at = begins
    for stored in sorted(tensors.values(), key=lambda each: (each.begin, each.end)):
        if stored.begin != at:
            raise BrokenModel(f"the header of '{path}' lays tensors over one another, or leaves gaps")
        at = stored.end
    if at > size:
        raise BrokenModel(f"'{path}' is cut off: {size:,} bytes, and its header speaks of {at:,}")
    if at < size:
        raise BrokenModel(f"'{path}' has {size - at:,} bytes that its header does not know")
    texts = metadata.items() if isinstance(metadata, dict) else ()
    return Header(path, tensors, {key: value for key, value in texts if isinstance(value, str)})


def _stored(path: Path, name: str, entry: Any, begins: int) -> Stored:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if all(
            type(side) is int and side >= 0 for side in shape
        ):
            if dtype not in BITS:
                raise BrokenModel(f"'{path}': {name} is of the type {dtype}, which is not read")
            stored = Stored(dtype, tuple(shape), begins + begin, begins + end)
        case _:
            raise BrokenModel(f"the header of '{path}' misstates {name}")
    if stored.numbers * BITS[dtype] != (end - begin) * 8:
        raise BrokenModel(f"the header of '{path}' gives {name} another size than its shape")
    return stored
