"""The sizes in which networks are shown the pictures of a plan, in cells of the model."""

from __future__ import annotations

from retouch.graph.panes import window_side, windows_of
from retouch.graph.plan import Plan


def row_cells_of(whole: Plan) -> set[tuple[int, int]]:
    """The sizes in which the denoiser is shown a graph's pictures: whole ones, and windows of them; none if unknown."""
    if (cells := cells_of(whole)) is None:
        return set()
    found: set[tuple[int, int]] = set()
    for one in whole.everything():
        for node in one.graph.nodes:
            if one.rows[node.id][1]:
                seen, model = windows_of(node, one.facts), whole.graph.model
                side = window_side(seen, model.multiple) // model.scale if seen else max(cells)
                found.add((min(side, cells[0]), min(side, cells[1])))
    return found or {cells}


def cells_of(whole: Plan) -> tuple[int, int] | None:
    """Height and width of the largest picture that is encoded, in the model's cells, as a run pads it; None if unknown.

    What a flow in brackets is given is counted at the model's own side, where its stage does not say more.
    """
    model = whole.graph.model
    found: list[tuple[int, int]] = []
    for each in whole.everything():
        for node in each.graph.nodes:
            if node.card.family != "encode":
                continue
            known = each.facts[node.id]
            size = (known.get("height", 0), known.get("width", 0))
            if not all(size) and each is whole:
                return None
            # Rounded up, as encoders pad.
            padded = (-(-(side or model.trained_size) // model.multiple) * model.multiple for side in size)
            height, width = (side // model.scale for side in padded)
            found.append((height, width))
    return max(found, key=lambda cells: cells[0] * cells[1], default=None)
