"""Means over all edits with their uncertainty, as data and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retouch_bench.journal import Record
from retouch_bench.pairs import Entry

RESAMPLES = 1000
BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Column:
    """A figure in the table: its heading, what it is multiplied by, and how many digits are shown after the point."""

    heading: str
    factor: float = 1.0
    digits: int = 1


COLUMNS: Mapping[str, Column] = {
    "success": Column("success %", 100, 0),
    "asked": Column("asked %", 100, 0),
    "kept": Column("kept %", 100, 0),
    "psnr_outside": Column("PSNR outside"),
    "ssim_outside": Column("SSIM outside ×100", 100),
    "psnr_inside": Column("PSNR inside, to the truth"),
    "psnr_truth": Column("PSNR to the truth"),
    "mask_iou": Column("mask IoU ×100", 100, 0),
    "mask_iou_pixels": Column("mask IoU in pixels ×100", 100, 0),
    "mask_iou_pixels_best": Column("… best", 100, 0),
    "structure": Column("structure ×1000", 1000),
    "image_text": Column("image-text ×100", 100),
    "rows": Column("rows", 1, 0),
    "seconds": Column("seconds", 1, 1),
}


def summaries(records: Iterable[Record], entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """One summary for each entry, in their order."""
    groups: dict[tuple[str, str], list[Record]] = {(entry.inversion, entry.editor): [] for entry in entries}
    for record in records:
        groups[record["inversion"], record["editor"]].append(record)
    return [_summary(inversion, editor, found) for (inversion, editor), found in groups.items()]


def _summary(inversion: str, editor: str, records: Sequence[Record]) -> dict[str, Any]:
    fine = [record for record in records if "error" not in record]
    kinds = dict.fromkeys(record["kind"] for record in records)
    return {
        "inversion": inversion,
        "editor": editor,
        "edits": len(fine),
        "errors": sorted({record["error"] for record in records if "error" in record}),
        "failed": len(records) - len(fine),
        "figures": {name: estimate([record[name] for record in fine]) for name in COLUMNS},
        "success_by_kind": {
            kind: estimate([record["success"] for record in fine if record["kind"] == kind]) for kind in kinds
        },
    }


def estimate(values: Sequence[float | None]) -> dict[str, float | int] | None:
    """The mean, and the interval that holds 95 % of the means of resampled edits; None where nothing was measured."""
    known = np.array([value for value in values if value is not None], dtype=float)
    if not len(known):
        return None
    draws = np.random.default_rng(0).integers(len(known), size=(RESAMPLES, len(known)))
    low, high = np.quantile(known[draws].mean(axis=1), (0.025, 0.975))
    mean = known.mean()
    return {"mean": _round(mean), "low": _round(low), "high": _round(high), "edits": len(known)}


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def best_inversions(found: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """The inversions whose edits the judge finds right most often; among equals, those nearest to the truth."""
    scores: dict[str, list[tuple[float, float]]] = {}
    for each in found:
        if each["inversion"] != BOUND and each["edits"]:
            figures = each["figures"]
            score = figures["success"]["mean"], figures["psnr_truth"]["mean"]
            scores.setdefault(each["inversion"], []).append(score)
    means = {inversion: tuple(np.mean(score, axis=0)) for inversion, score in scores.items()}
    return sorted(means, key=lambda inversion: means[inversion], reverse=True)[:count]


def markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """The tables: all figures of each pair with half their interval, the bounds first; then success by kind of edit."""
    shown = [name for name in COLUMNS if any(each["figures"][name] for each in found)]
    all_figures = _grid(
        ["inversion", "editor", *(COLUMNS[name].heading for name in shown), "failed"],
        [
            [*_names(each), *(_cell(each["figures"][name], COLUMNS[name]) for name in shown), str(each["failed"] or "")]
            for each in found
        ],
    )
    kinds = list(dict.fromkeys(kind for each in found for kind in each["success_by_kind"]))
    by_kind = _grid(
        ["success %", "editor", *kinds],
        [
            [*_names(each), *(_cell(each["success_by_kind"].get(kind), COLUMNS["success"]) for kind in kinds)]
            for each in found
        ],
    )
    return f"{all_figures}\n\n{by_kind}\n"


def _names(summary: Mapping[str, Any]) -> list[str]:
    return [summary["inversion"], summary["editor"]]


def _cell(figure: Mapping[str, float] | None, column: Column) -> str:
    if not figure:
        return ""
    half = (figure["high"] - figure["low"]) / 2 * column.factor
    mean = f"{figure['mean'] * column.factor:.{column.digits}f}"
    return f"{mean} ± {half:.{column.digits}f}" if column.heading not in ("rows", "seconds") else mean


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
