"""Stages that take pictures of one size alone, or up to one: what is said of another."""

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


IN_PARTS = "edit a part of it: 'mask … | crop' before that and 'paste' behind; or make it smaller: open … size=4096"


def too_large(what: str, count: int, mend: str = IN_PARTS) -> dict[str, Any]:
    """The facts of RT582 for a picture or a part of so many pixels, without the stage."""
    from retouch.pictures import MAX_PIXELS

    return {"what": what, "count": round(count / 1e6), "most": MAX_PIXELS // 10**6, "mend": mend}
