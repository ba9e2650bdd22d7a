"""A chart in the language of Mermaid, which many pages of text render."""

from __future__ import annotations

from retouch.graph.drawing.chart import Chart

_STYLES = ("classDef put_in stroke-dasharray:5 4,fill:#f6f6f6,color:#555", "classDef result stroke-width:3px")


def as_mermaid(chart: Chart) -> str:
    """Return a flowchart, from top to bottom."""
    lines = ["flowchart TD"]
    for box in chart.boxes:
        text = "<br>".join(map(_text, (box.title, *box.lines)))
        lines.append(f'{box.id}["{text}"]' + (f":::{box.kind}" if box.kind != "stage" else ""))
    lines += [f'{arrow.start} -->|"{_text(arrow.label)}"| {arrow.end}' for arrow in chart.arrows]
    return "\n  ".join([*lines, *_STYLES]) + "\n"


def _text(text: str) -> str:
    """Mermaid has entities of its own, which begin with '#'."""
    for char, entity in (("#", "#35;"), ("&", "#38;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;")):
        text = text.replace(char, entity)
    return text
