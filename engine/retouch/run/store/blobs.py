"""Files by what is in them, and keys that lead to them; what was used longest ago goes where there are too many.

A blob's name is the sha256 of its bytes, so that whoever reads it knows whether it is whole.  A key is a file that
holds such a name; several may lead to one blob.  Both are written whole or not at all, by any number of runs at once:
who is late writes the same.  A store that cannot be read or written is no failure: all is made anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from retouch.pictures.atomic import remove_dead_parts, replacing

_NAME_LENGTH = 64
_NAME = re.compile(rf"[0-9a-f]{{{_NAME_LENGTH}}}")
LARGEST = 0.5  # share of the store that one blob may take
ROOM = 0.9  # share that is left full where something has to go, so that it is not looked through each time


@dataclass(slots=True)
class Store:
    """A store, there or not.  limit: bytes of all blobs."""

    folder: Path
    limit: int
    _size: int | None = field(default=None, init=False)  # as far as this process knows

    def read(self, key: str) -> tuple[str, bytes] | None:
        """The blob that a key leads to, with its name; None if there is none.  A broken one is removed."""
        name = self._name_at(key)
        if name is None:
            return None
        path = self._blobs / name
        data = _bytes_of(path)
        if data is None:
            return None
        if name_of(data) != name:
            self.drop(name)
            return None
        with suppress(OSError):
            os.utime(path)  # used now
        return name, data

    def write(self, data: bytes, *keys: str) -> None:
        """Keep a blob under these keys, if it is not too large."""
        if len(data) > LARGEST * self.limit:
            return
        name = name_of(data)
        with suppress(OSError):
            path = self._blobs / name
            if self._size is None:
                remove_dead_parts(self._blobs)
                remove_dead_parts(self._keys)
                self._size = self.size()
            with replacing(path) as file:  # what stands there under this name may be broken
                file.write(data)
            for key in keys:
                self.lead(key, name)
            self._size += len(data)
            if self._size > self.limit:
                self._make_room(name)

    def lead(self, key: str, name: str) -> None:
        """Let a key lead to a blob that is there."""
        with suppress(OSError), replacing(self._keys / key) as file:
            file.write(name.encode())

    def drop(self, name: str) -> None:
        """Forget a blob."""
        with suppress(OSError):
            (self._blobs / name).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """The keys that lead to something."""
        there = {name for name, _, _ in self._all_blobs()}
        for key, _, _ in _files(self._keys):
            if self._name_at(key) in there:
                yield key

    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(size for _, size, _ in self._all_blobs())

    def fit(self) -> None:
        """Make room where the store holds more than it may, since it may hold less than it once could."""
        if self.size() > self.limit:
            self._make_room("")

    @property
    def _blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def _keys(self) -> Path:
        return self.folder / "keys"

    def _name_at(self, key: str) -> str | None:
        said = (_bytes_of(self._keys / key, _NAME_LENGTH) or b"").decode("latin-1")
        return said if _NAME.fullmatch(said) else None

    def _all_blobs(self) -> list[tuple[str, int, float]]:
        """Those that are named as blobs are: whatever else lies there is somebody's own."""
        return [each for each in _files(self._blobs) if _NAME.fullmatch(each[0])]

    def _make_room(self, newest: str) -> None:
        """Remove what was used longest ago, but not what has just come, and the keys that led there."""
        found = sorted(self._all_blobs(), key=lambda each: (each[0] == newest, each[2]))
        left = sum(size for _, size, _ in found)  # others may have written or removed meanwhile
        if left > self.limit:
            for name, size, _ in found:
                if name == newest or left <= ROOM * self.limit:
                    break
                self.drop(name)
                left -= size
            there = {name for name, _, _ in self._all_blobs()}
            for key, _, _ in _files(self._keys):
                if (name := self._name_at(key)) and name not in there:
                    with suppress(OSError):
                        (self._keys / key).unlink(missing_ok=True)
        self._size = left


def name_of(data: bytes) -> str:
    """The name of a blob."""
    return hashlib.sha256(data).hexdigest()


def _bytes_of(path: Path, most: int | None = None) -> bytes | None:
    """What a regular file holds; None where there is none, nor memory for it, or it is longer than `most` bytes."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe is not waited for
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            state = os.fstat(file.fileno())
            fits = stat.S_ISREG(state.st_mode) and (most is None or state.st_size <= most)
            return file.read() if fits else None
    except (OSError, ValueError, MemoryError):
        return None


def _files(folder: Path) -> list[tuple[str, int, float]]:
    """Name, size and time of the last use of each file that is whole."""
    found: list[tuple[str, int, float]] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # removed meanwhile
                if not entry.name.startswith("."):
                    state = entry.stat(follow_symlinks=False)
                    found.append((entry.name, state.st_size, state.st_mtime))
    return found
