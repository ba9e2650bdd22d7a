"""Records of many edits as a table: a row for each kind and way, with means over scenes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEAD = "| kind | way | scenes | inside, dB | outside, dB | asked is read | rest is kept | agree, dB | rows | CPU s |"
FIGURES = {"in": ".1f", "out": ".1f", "read": ".0%", "kept": ".0%", "agree": ".1f", "rows": ",.0f", "cpu_s": ".0f"}


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """In Markdown; kinds and ways in the order in which they were measured."""
    rows = [HEAD, "|---|---|---|---|---|---|---|---|---|---|"]
    for kind, way in dict.fromkeys((record["kind"], record["way"]) for record in records):
        found = [record for record in records if (record["kind"], record["way"]) == (kind, way)]
        figures = {name: mean(record[name] for record in found) for name in FIGURES}
        cells = [f"{figures[name]:{form}}" if figures[name] is not None else "–" for name, form in FIGURES.items()]
        rows.append(f"| {kind} | {way} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def mean(values: Iterable[float | None]) -> Any:
    """Of those that there are; None where there are none."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
