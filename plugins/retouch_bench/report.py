"""The files that a benchmark ends with: tables as Markdown and JSON, and a page with pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retouch_bench.findings import Findings, heading
from retouch_bench.page import page
from retouch_bench.table import markdown, summaries


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


def refusals(rows: Sequence[dict[str, Any]]) -> str:
    """The pairs that could not be run at all or not on every edit, by reason."""
    pairs: dict[str, list[str]] = {}
    for row in rows:
        for why in row["errors"]:
            pairs.setdefault(why, []).append(f"{row['inversion']}, {row['editor']}")
    lines = [f"- {'; '.join(each)}: {why}" for why, each in pairs.items()]
    return "\nNot measured:\n" + "\n".join(lines) + "\n" if lines else ""
