"""The files that a benchmark ends with: tables as Markdown and JSON, and a page with pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retouch.api.models import ModelInfo
from retouch.api.running import software
from retouch_bench.drawn import Drawn
from retouch_bench.journal import Record
from retouch_bench.page import page
from retouch_bench.pairs import Entry
from retouch_bench.table import markdown, summaries


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


def write(folder: Path, found: Findings) -> list[Path]:
    """Write all files, and say where they are."""
    rows = summaries(found.records, found.entries)
    measured = [row for row in rows if row["edits"]]
    recipes = {f"{entry.inversion}, {entry.editor}": entry.recipe for entry in found.entries}
    data = {"about": found.about, "recipes": recipes, "rows": rows}
    files = {
        "table.md": f"{heading(found)}\n\n{markdown(measured)}{refusals(rows)}",
        "table.json": json.dumps(data, indent=1, ensure_ascii=False) + "\n",
        "index.html": page(found, measured),
    }
    for name, text in files.items():
        unfinished = folder / f"{name}.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / name)
    return [folder / name for name in files]


def heading(found: Findings) -> str:
    """One paragraph: what was measured, and how to read it."""
    about = found.about
    best = f"  Best inversions: {', '.join(about['best_inversions'])}." if about["best_inversions"] else ""
    return (
        f"{about['edits']} held-out edits, {about['steps']} steps, seed {about['seed']}; model {about['model']} "
        f"({about['model_digest'][:12]}) on {about['device']}, {about['machine']}, torch {about['torch']}, "
        f"{about['date']}.  ± is half of the interval that holds 95 % of the means of resampled edits.{best}"
    )


def refusals(rows: Sequence[dict[str, Any]]) -> str:
    """The pairs that could not be run at all or not on every edit, by reason."""
    pairs: dict[str, list[str]] = {}
    for row in rows:
        for why in row["errors"]:
            pairs.setdefault(why, []).append(f"{row['inversion']}, {row['editor']}")
    lines = [f"- {'; '.join(each)}: {why}" for why, each in pairs.items()]
    return "\nNot measured:\n" + "\n".join(lines) + "\n" if lines else ""
