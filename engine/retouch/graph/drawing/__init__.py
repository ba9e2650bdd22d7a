"""Graphs as pictures: mermaid and dot as text, SVG drawn here."""

from retouch.graph.drawing.chart import Chart, chart
from retouch.graph.drawing.dot import as_dot
from retouch.graph.drawing.mermaid import as_mermaid
from retouch.graph.drawing.svg import as_svg

FORMATS = {"mermaid": as_mermaid, "dot": as_dot, "svg": as_svg}

__all__ = ["FORMATS", "Chart", "chart"]
