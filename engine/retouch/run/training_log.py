"""What stages that learn say of themselves, at most once a second, as events of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class RunTrainingLog:
    """One for all stages of a run; which of them speaks is told where the port is filled."""

    tell: Callable[[str, Mapping[str, Any]], None]

    def at(self, settings: Mapping[str, Any]) -> _Page:
        """What a port is given."""
        return _Page(self.tell, str(settings.get("stage", "")))


@dataclass(slots=True)
class _Page:
    tell: Callable[[str, Mapping[str, Any]], None]
    stage: str
    _began: float = field(default_factory=time.monotonic)
    _before: int | None = None  # steps of a run before this one, which took none of its time
    _told: float = 0.0

    def due(self, done: int, of: int) -> bool:
        """Whether a second has gone by since it told of a step, or all are done."""
        if self._before is None:
            self._before = done - 1
        return done >= of or time.monotonic() - self._told >= 1

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Tell of the loss, and of the seconds that are left if it goes on as it did."""
        if not self.due(done, of):
            return
        self._told = now = time.monotonic()
        assert self._before is not None
        left = (now - self._began) / max(done - self._before, 1) * (of - done)
        self.tell("learning", {"stage": self.stage, "done": done, "of": of, "loss": loss, "s": round(left)})
