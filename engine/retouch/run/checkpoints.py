"""Where tunings stand, kept in the user's cache while they learn: one that was killed goes on from there.

A checkpoint is of one piece of work, told by the digest of all that it depends on.  `RETOUCH_CHECKPOINTS` says how many
seconds lie between two, or "off"; where one takes long to write, more lie between, so that a tenth of the time at most
goes into them.  They lie in the folder "tunings" of the user's cache, and go where a tuning ends.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retouch.core.tuned.weights_file import safetensors_file
from retouch.models import user_cache
from retouch.models.errors import BrokenModel
from retouch.models.single_file import checked_header
from retouch.models.weights import read_as_stored
from retouch.pictures.atomic import replacing

SECONDS = 30.0
SHARE = 0.1  # of the time that may go into writing them
STALE = 30 * 24 * 3600.0  # seconds after which one that nobody came back to is removed


def between() -> float | None:
    """Seconds between two checkpoints; None where the user wants none."""
    said = os.environ.get("RETOUCH_CHECKPOINTS", "")
    if said.lower() == "off":
        return None
    try:
        return max(float(said), 0.0) if said else SECONDS
    except ValueError:
        return SECONDS


def _folder() -> Path | None:
    base = user_cache.folder()
    return base / "tunings" if base else None


@dataclass(slots=True)
class RunCheckpoints:
    """One for all stages of a run."""

    folder: Path | None = field(default_factory=_folder)

    def at(self, _settings: Mapping[str, Any]) -> RunCheckpoints:
        """What a port is given."""
        return self

    def of(self, *work: object) -> FileCheckpoint:
        """The checkpoint of the work that depends on all this: tensors, numbers, texts, and what is made of them."""
        digest = hashlib.sha256()
        for piece in _pieces(work):
            digest.update(piece)
        seconds = between()
        kept = self.folder is not None and seconds is not None
        place = self.folder / f"{digest.hexdigest()[:32]}.safetensors" if self.folder and kept else None
        return FileCheckpoint(place, seconds or 0.0)


@dataclass(slots=True)
class FileCheckpoint:
    """One piece of work; place: its file, there or not, or None where nothing is kept.

    seconds: between two, at least; 0 keeps each, however long that takes.
    """

    place: Path | None
    seconds: float
    _last: float = field(default_factory=time.monotonic)

    def read(self) -> Mapping[str, Tensor]:
        """What was kept last; empty where nothing was, or what is there cannot be read."""
        if self.place is None:
            return {}
        try:
            if not self.place.is_file():
                return {}
            return read_as_stored(self.place, checked_header(self.place).tensors)
        except (OSError, BrokenModel):
            return {}

    def keep(self, tensors: Callable[[], Mapping[str, Tensor]]) -> None:
        """Keep how things stand, if it is time.  A cache that cannot be written is no failure."""
        if self.place is None or time.monotonic() - self._last < self.seconds:
            return
        began = time.monotonic()
        made = {name: each.detach().cpu().contiguous() for name, each in tensors().items()}
        # One that cannot be removed, or that another run removes meanwhile, is no reason to keep none
        for each in self.place.parent.glob("*.safetensors"):
            with suppress(OSError):
                if time.time() - each.stat().st_mtime > STALE:
                    each.unlink()
        with suppress(OSError), replacing(self.place) as file:
            file.write(safetensors_file(made, {}))
        self._last = time.monotonic()
        if self.seconds:
            self.seconds = max(self.seconds, (self._last - began) * (1 / SHARE - 1))

    def drop(self) -> None:
        """Forget it: the work is done."""
        if self.place is not None:
            with suppress(OSError):
                self.place.unlink(missing_ok=True)


def _pieces(value: Any) -> Iterator[bytes]:
    """All that a value is made of, in a fixed order, each with its kind."""
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous()
        yield f"{flat.dtype} {list(flat.shape)} {value.device.type};".encode()
        yield flat.flatten().view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    elif isinstance(value, Mapping):
        for name in sorted(value, key=str):
            yield f"{name}:".encode()
            yield from _pieces(value[name])
    elif isinstance(value, list | tuple):
        yield f"{len(value)}[".encode()
        for each in value:
            yield from _pieces(each)
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__}(".encode()
        for each in fields(value):
            yield from _pieces(getattr(value, each.name))
    elif value is None or isinstance(value, str | int | float | slice):
        yield f"{value!r};".encode()
    else:  # a network, which its files tell
        yield f"{type(value).__name__} {getattr(value, 'digest', '')};".encode()
