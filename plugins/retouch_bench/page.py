"""One page of HTML that needs nothing else: the tables, and the best and worst results of every pair as pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from retouch_bench.findings import Findings, heading
from retouch_bench.pairs import Entry
from retouch_bench.table import COLUMNS, Column

if TYPE_CHECKING:
    from retouch_bench.journal import Record

CASES = 3  # of the best, and of the worst
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: 3px 8px; border-bottom: 1px solid #ddd; }
th { text-align: left; vertical-align: bottom; } td.n { text-align: right; white-space: nowrap; }
tr.bound { background: #f3f3ee; } .wide { overflow-x: auto; }
img { width: 128px; height: 128px; image-rendering: pixelated; margin-right: 4px; }
.cases { display: flex; flex-wrap: wrap; gap: 12px 28px; } figure { margin: 0; width: 400px; }
figcaption { font-size: 12px; color: #555; } code { font-size: 13px; background: #f3f3ee; padding: 1px 4px; }
h3 { margin: 2rem 0 .3rem; } h4 { margin: .8rem 0 .3rem; font-weight: 600; }
"""


def page(found: Findings, rows: Sequence[Mapping[str, Any]]) -> str:
    """The whole page."""

    body = "".join(_sections(found))
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>retouch bench quality</title>'
        f"<style>{STYLE}</style>\n<h1>How right edits are</h1><p>{html.escape(heading(found))}</p>"
        f"{_table(rows)}<p>Each case: the source, the result, and the truth.  The nearest to the truth come first, "
        f"then the farthest.</p>{body}</html>\n"
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = ("inversion", "editor", *(column.heading for column in COLUMNS.values()))
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    lines = "".join(
        f'<tr class="{"bound" if row["inversion"] == "bound" else "pair"}"><td>{html.escape(row["inversion"])}</td>'
        f"<td>{html.escape(row['editor'])}</td>"
        + "".join(f'<td class="n">{_number(row["figures"][name], column)}</td>' for name, column in COLUMNS.items())
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{heads}</tr>\n{lines}</table></div>'


def _number(figure: Mapping[str, float] | None, column: Column) -> str:
    return f"{figure['mean'] * column.factor:.{column.digits}f}" if figure else ""


def _sections(found: Findings) -> Iterator[str]:
    drawn = {each.edit.name: each for each in found.drawn}
    for entry in found.entries:
        names = (entry.inversion, entry.editor)
        records = [r for r in found.records if (r["inversion"], r["editor"]) == names and "error" not in r]
        if not records:
            continue
        ranked = sorted(records, key=lambda record: (record["psnr_truth"], record["edit"]), reverse=True)
        shown = list(dict.fromkeys([*range(min(CASES, len(ranked))), *range(max(0, len(ranked) - CASES), len(ranked))]))
        title = html.escape(f"{entry.inversion}, {entry.editor}")
        yield f"<h3>{title}</h3><code>{html.escape(entry.recipe or 'the source itself')}</code>"
        yield '<div class="cases">'
        for place in shown:
            yield _case(ranked[place], drawn[ranked[place]["edit"]], entry, found.pictures)
        yield "</div>\n"


def _case(record: Record, drawn: Any, entry: Entry, pictures: Path) -> str:
    result = pictures / drawn.edit.name / entry.file
    images = "".join(f'<img alt="" src="{_inlined(path)}">' for path in (drawn.source, result, drawn.truth))
    judged = "right" if record["success"] else "asked but not kept" if record["asked"] else "not as asked"
    told = f"{drawn.edit.kind}: {drawn.edit.change} – {record['psnr_truth']:.1f} dB to the truth; judged {judged}"
    return f"<figure>{images}<figcaption>{html.escape(told)}</figcaption></figure>"


@cache
def _inlined(path: Path) -> str:
    """The pixels alone, without what the file says of itself."""
    small = io.BytesIO()
    Image.open(path).convert("RGB").save(small, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(small.getvalue()).decode()}"
