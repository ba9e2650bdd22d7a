"""Rows as lines and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TITLES = {
    "ceilings": "Ceilings, measured here",
    "floors": "Floors, counted",
    "denoiser": "Denoiser",
    "compiled": "Denoiser, compiled",
    "host": "Host",
    "codec": "VAE",
    "edits": "Whole edits",
    "families": "Denoisers of other families",
}
HEADINGS = {
    "tflops": "TFLOP/s",
    "tbytes": "TB/s",
    "tflop": "TFLOP a row",
    "rows_a_second": "rows/s",
    "pictures_a_second": "pictures/s",
    "of_floor": "of the floor",
    "off_eager": "off eager",
    "ms_a_row": "ms a row",
    "floor_ms_a_row": "floor, ms a row",
    "ms_a_picture": "ms a picture",
    "issue_ms": "issue, ms a call",
    "first_seconds": "first call, s",
    "us_a_row": "µs a row",
    "us_a_tick": "µs a tick",
    "peak_gb": "peak, GB",
    "gradient_rows": "gradient rows",
    "left_out": "left out",
}
_SHARES = {"of_floor", "fill"}


def line(row: Mapping[str, Any]) -> str:
    """A row in one line, each figure after its name."""
    return ", ".join(f"{HEADINGS.get(name, name)} {cell(name, value)}" for name, value in row.items())


def cell(name: str, value: Any) -> str:
    """A figure as a table shows it: four digits at most, shares as percentages."""
    match value:
        case None:
            return "–"
        case bool() | str():
            return str(value).replace("|", "/")
        case _ if name in _SHARES:
            return f"{value:.0%}"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        case _:
            return f"{value:,}"


def tables(about: Mapping[str, Any], sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What it was measured on, and a table for each section."""
    parts = ["# Speed", *[f"- {name}: {value}" for name, value in about.items()]]
    for section, rows in sections.items():
        parts += ["", f"## {TITLES.get(section, section)}", ""]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        parts.append(_cells([HEADINGS.get(name, name) for name in columns]))
        parts.append(_cells(["---"] * len(columns)))
        parts += [_cells([cell(name, row[name]) if name in row else "" for name in columns]) for row in rows]
    return "\n".join(parts)


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
