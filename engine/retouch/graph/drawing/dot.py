"""A chart in the language of Graphviz."""

from __future__ import annotations

from retouch.graph.drawing.chart import Box, Chart

_STYLES = {
    "stage": 'style="rounded"',
    "put_in": 'style="rounded,dashed" color="#888888" fontcolor="#555555"',
    "result": 'style="rounded" penwidth=2.5',
}


def as_dot(chart: Chart) -> str:
    """Return a digraph, from top to bottom."""
    lines = ["digraph recipe {", '  node [shape=box fontname="monospace"]', '  edge [fontname="monospace" fontsize=10]']
    lines += [f"  {_box(box)}" for box in chart.boxes]
    lines += [f"  {arrow.start} -> {arrow.end} [label={_text(arrow.label)}]" for arrow in chart.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _box(box: Box) -> str:
    why = f" tooltip={_text(box.why)}" if box.why else ""
    return f"{box.id} [label={_text(chr(10).join((box.title, *box.lines)))} {_STYLES[box.kind]}{why}]"


def _text(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'
