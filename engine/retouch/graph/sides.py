"""Stages that take pictures of one size alone: what is said of another."""

from __future__ import annotations

from typing import Any

from retouch.graph.nodes import Node


def unfit(node: Node, size: tuple[int, int]) -> dict[str, Any]:
    """The facts of RT560 for a picture of this size [height, width], with what to type."""
    (height, width), side = size, node.card.side
    smaller = f"let it be made smaller: open … size={side}"
    window = f"give it a square of the picture: mask … | crop size={side} before it, and paste behind"
    mend = smaller if height == width > side else window
    return {"stage": node.card.name, "side": side, "width": width, "height": height, "mend": mend}
