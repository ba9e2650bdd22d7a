"""A chart as SVG, without anybody's help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from retouch.graph.drawing.chart import Box, Chart
from retouch.graph.drawing.layers import Layering, Point, layout

CHAR, LINE, PAD, MARGIN = 7.3, 17, 12, 24  # pixels; the font is 12 high and as wide for each letter
GAP = (36.0, 46.0)  # between neighbours, between ranks

_STYLE = """
text { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #222 }
.title { font-weight: bold } .note { fill: #555 } .label { font-size: 10.5px; fill: #4a5a78 }
.halo { stroke: #fff; stroke-width: 4px; stroke-linejoin: round }
rect { fill: #fff; stroke: #3b4a66; stroke-width: 1.3 }
.put_in { fill: #f6f6f6; stroke: #999; stroke-dasharray: 5 4 } .result { stroke-width: 2.6 }
path { fill: none; stroke: #6b7a99; stroke-width: 1.3 } .head { fill: #6b7a99; stroke: none }
"""


def as_svg(chart: Chart) -> str:
    """Return a drawing from top to bottom: put-in stages dashed, results with a bold frame, arrows with their types."""
    sizes = {box.id: _size(box) for box in chart.boxes}
    labels: dict[tuple[str, str], list[str]] = {}
    for arrow in chart.arrows:
        labels.setdefault((arrow.start, arrow.end), []).append(arrow.label)
    placed = layout(sizes, list(labels), GAP)
    put_in = any(box.kind == "put_in" for box in chart.boxes)
    height = placed.height + 2 * MARGIN + (LINE if put_in else 0)
    width = max(placed.width + 2 * MARGIN, 260)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}">',
        f"<style>{_STYLE}</style>",
        f'<rect x="{-MARGIN}" y="{-MARGIN}" width="{width:.0f}" height="{height:.0f}" style="stroke: none"/>',
        *_arrows(placed, labels),
        *(line for box in chart.boxes for line in _box(box, placed.centres[box.id])),
    ]
    if put_in:
        lines.append(f'<text class="note" x="0" y="{placed.height + LINE:.0f}">dashed: put in by retouch</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _size(box: Box) -> tuple[float, float]:
    lines = (box.title, *box.lines)
    return max(map(len, lines)) * CHAR + 2 * PAD, len(lines) * LINE + PAD


def _box(box: Box, centre: Point) -> Iterator[str]:
    width, height = _size(box)
    x, y = centre[0] - width / 2, centre[1] - height / 2
    yield f'<g id="{box.id}">'
    if box.why:
        yield f"<title>put in: {escape(box.why)}</title>"
    yield f'<rect class="{box.kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"/>'
    for i, text in enumerate((box.title, *box.lines), 1):
        class_ = "title" if i == 1 else "note"
        yield f'<text class="{class_}" x="{x + PAD:.1f}" y="{y + i * LINE:.1f}">{escape(text)}</text>'
    yield "</g>"


def _arrows(placed: Layering, labels: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    """Lines first, then labels, so that no line strikes through a word; side by side, one label does for two."""
    told: list[tuple[str, str, float]] = []
    for edge in labels:
        yield f'<path d="{_curve(placed.paths[edge])}"/>'
        x, y = placed.paths[edge][-1]
        yield f'<path class="head" d="M{x:.1f},{y:.1f} l-4,-8 l8,0 z"/>'
    for edge, words in labels.items():
        (x0, y0), (x1, y1) = placed.paths[edge][:2]
        x, y, text = (x0 + x1) / 2, (y0 + y1) / 2 + 3, escape(", ".join(words))
        if any(other[:2] == (edge[0], text) and abs(other[2] - x) < len(text) * CHAR for other in told):
            continue
        told.append((edge[0], text, x))
        for class_ in ("label halo", "label"):
            yield f'<text class="{class_}" text-anchor="middle" x="{x:.1f}" y="{y:.1f}">{text}</text>'


def _curve(points: Iterable[Point]) -> str:
    """Return a smooth line that leaves and arrives straight down."""
    points = list(points)
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return path
