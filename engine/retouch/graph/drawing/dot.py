"""A chart in the language of Graphviz."""

from __future__ import annotations

from retouch.graph.drawing.chart import Chart

_STYLES = {
    "stage": 'style="rounded"',
    "put_in": 'style="rounded,dashed" color="#888888" fontcolor="#555555"',
    "result": 'style="rounded" penwidth=2.5',
}


def as_dot(chart: Chart) -> str:
    """Return a digraph, from top to bottom."""
    lines = ["digraph recipe {", '  node [shape=box fontname="monospace"]', '  edge [fontname="monospace" fontsize=10]']
    for box in chart.boxes:
        why = f" tooltip={_text(box.why)}" if box.why else ""
        label = _text("\n".join((box.title, *box.lines)))
        lines.append(f"  {box.id} [label={label} {_STYLES[box.kind]}{why}]")
    lines += [f"  {arrow.start} -> {arrow.end} [label={_text(arrow.label)}]" for arrow in chart.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _text(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'
