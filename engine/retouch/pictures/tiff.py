"""How many pieces a TIFF is cut into, by its first directory alone: Pillow reads them all before it says a size."""

from __future__ import annotations

import struct
from pathlib import Path

_PIECES = (273, 279, 324, 325)  # the tags: offsets and byte counts, of strips and of tiles
_CLASSIC, _BIG = ("H", "HHI4s", 4), ("Q", "HHQ8s", 8)  # of a directory: its count, an entry; bytes of an offset


def pieces(path: Path) -> int:
    """The most strips or tiles that a file says it has; 0 if it is no TIFF, or its directory is damaged."""
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16:
            return 0
        kind = {42: _CLASSIC, 43: _BIG}.get(struct.unpack(f"{order}H", head[2:4])[0])
        if kind is None:
            return 0
        count, entry, width = f"{order}{kind[0]}", f"{order}{kind[1]}", kind[2]
        start = struct.unpack(f"{order}{'IQ'[width == 8]}", head[width : 2 * width])[0]
        try:
            file.seek(start)
            (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
            data = file.read(struct.calcsize(entry) * min(entries, 4096))
        except (OSError, OverflowError, ValueError, struct.error):
            return 0
    whole = data[: len(data) - len(data) % struct.calcsize(entry)]
    return max((many for tag, _, many, _ in struct.iter_unpack(entry, whole) if tag in _PIECES), default=0)
