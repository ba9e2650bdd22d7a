"""How fast this machine has been: rows a second of each model, kept from run to run in a file of the user's cache.

`RETOUCH_CACHE` names another folder; `RETOUCH_CACHE=off` keeps and reads nothing.  A damaged file is as none.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retouch.models import user_cache

MOST = 200  # figures; the oldest go
LEAST_ROWS, LEAST_SECONDS = 4, 0.05  # of a run that says anything


@dataclass(frozen=True, slots=True)
class Rate:
    """One figure, and what it was measured with."""

    model: str  # digest
    device: str
    dtype: str
    height: int  # of the latents, in cells
    width: int
    threads: int
    rows_per_second: float
    when: float  # seconds since 1970


def file() -> Path | None:
    """Where figures are kept; None where the user wants none."""
    base = user_cache.folder()
    return base / "rates.json" if base else None


def known() -> list[Rate]:
    """All figures, the newest last; what is damaged is left out."""
    path = file()
    try:
        said = json.loads(path.read_text("utf-8")) if path and path.is_file() else []
    except (OSError, ValueError, RecursionError):
        return []
    found = [_rate(each) for each in said] if isinstance(said, list) else []
    return sorted((rate for rate in found if rate), key=lambda rate: rate.when)


def _rate(said: Any) -> Rate | None:
    kinds: Mapping[str, tuple[type, ...]] = {
        **dict.fromkeys(("model", "device", "dtype"), (str,)),
        **dict.fromkeys(("height", "width", "threads"), (int,)),
        **dict.fromkeys(("rows_per_second", "when"), (int, float)),
    }
    if not isinstance(said, dict) or said.keys() != kinds.keys():
        return None
    if any(not isinstance(said[name], kind) or isinstance(said[name], bool) for name, kind in kinds.items()):
        return None
    return Rate(**said) if 0 < said["rows_per_second"] < 1e9 else None


def keep(rate: Rate) -> None:
    """Put a figure in the place of the one before of the same key.  A cache that cannot be written is no failure."""
    path = file()
    if path is None:
        return
    others = [each for each in known() if _key(each) != _key(rate)]
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps([asdict(each) for each in [*others, rate][-MOST:]], indent=1), "utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _key(rate: Rate) -> tuple[object, ...]:
    return rate.model, rate.device, rate.dtype, rate.height, rate.width, rate.threads


def measured(model: str, cells: tuple[int, int]) -> Rate | None:
    """The newest figure of this model at this size."""
    fits = [rate for rate in known() if (rate.model, rate.height, rate.width) == (model, *cells)]
    return fits[-1] if fits else None


class Pace:
    """Hears of a run's calls and adds up what its denoiser rows took; the first call, which loads, does not count.

    Nor does one behind a gradient: what the gradient is for, such as an optimiser's step, is done in between.
    """

    def __init__(self) -> None:
        self.rows, self.seconds = 0, 0.0
        self._last: float | None = None
        self._pulled = False

    def heard(self, event: str, facts: Mapping[str, Any]) -> None:
        """Hear of one event."""
        if event != "call":
            return
        now = time.perf_counter()
        if facts["kind"] == "denoise":
            if self._last is not None and not self._pulled:
                self.rows, self.seconds = self.rows + facts["rows"], self.seconds + now - self._last
            self._last, self._pulled = now, False
        elif self._last is not None:
            self._last, self._pulled = now, self._pulled or facts["kind"] in ("gradient", "backward")

    def keep(self, model: str, device: str, dtype: str, cells: tuple[int, int], threads: int) -> None:
        """Keep the figure, if enough was measured."""
        if self.rows >= LEAST_ROWS and self.seconds >= LEAST_SECONDS:
            keep(Rate(model, device, dtype, *cells, threads, self.rows / self.seconds, time.time()))
