"""All that a benchmark came to, and the one paragraph that says what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retouch.api.models import ModelInfo
from retouch.api.running import software
from retouch_bench.drawn import Drawn
from retouch_bench.journal import Record
from retouch_bench.pairs import Entry


@dataclass(frozen=True)
class Findings:
    """All that a benchmark came to."""

    settings: dict[str, Any]
    model: ModelInfo
    device: str
    best: Sequence[str]  # inversions
    drawn: Sequence[Drawn]
    pictures: Path  # a folder for each edit
    entries: Sequence[Entry]
    records: Sequence[Record]

    @property
    def about(self) -> dict[str, Any]:
        """What was measured with what; only the date is new in each run."""
        return {
            **self.settings,
            "best_inversions": list(self.best),
            "model": self.model.name,
            "model_digest": self.model.digest,
            "device": self.device,
            **software(),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        }


def heading(found: Findings) -> str:
    """One paragraph: what was measured, and how to read it."""
    about = found.about
    best = f"  Best inversions: {', '.join(about['best_inversions'])}." if about["best_inversions"] else ""
    return (
        f"{about['edits']} held-out edits, {about['steps']} steps, seed {about['seed']}; model {about['model']} "
        f"({about['model_digest'][:12]}) on {about['device']}, {about['machine']}, torch {about['torch']}, "
        f"{about['date']}.  ± is half of the interval that holds 95 % of the means of resampled edits.{best}"
    )
