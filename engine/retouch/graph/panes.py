"""Windows through which a denoiser sees pictures that are larger than the model, counted before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from retouch.graph.nodes import FromEngine, FromNode, Node
from retouch.graph.ports import TRAINING

Facts = Mapping[str, Any]

UNKNOWN_WINDOWS = 1000  # of a picture whose size nobody knows before a run, at most
WINDOWED = ("window", "window_overlap")  # facts of a denoiser that sees pictures through windows


def windows_of(node: Node, facts: Mapping[str, Facts]) -> dict[str, Any]:
    """The windows of the denoiser that a node is given, if it has any."""
    given = [node.inputs.get(port.name) for port in node.card.ports if port.type == "Denoiser"]
    made = [facts[each.id] for each in given if isinstance(each, FromNode)]
    return {name: each[name] for each in made for name in WINDOWED if name in each}


def window_side(seen: Mapping[str, Any], multiple: int) -> int:
    """Pixels of a window's side, as a run pads it.  seen: of `windows_of`; multiple: of the model"""
    return -(-int(seen["window"]) // multiple) * multiple


def windows(node: Node, seen: Facts, scope: Facts, multiple: int, *, cut: bool) -> tuple[int, int]:
    """Windows of the pictures that a node asks its denoiser about, (least, most): each is a row of its own.

    seen: of `windows_of`.  scope: what is known of the node, such as the height and width of its picture.
    cut: whether the node shows parts, each of as many pixels as pictures that the model was trained on.
    """
    if not seen:
        return 1, 1
    found: list[tuple[int, int]] = []
    for size in _shown(node, scope):
        if not all(size):
            return 1, UNKNOWN_WINDOWS
        height, width = _part(size, int(scope["side"]), multiple) if cut else size
        # In units of the model's multiple, as `core/panes.py` lays them.
        side = window_side(seen, multiple) // multiple
        shared = int(seen["window_overlap"] * side * multiple) // multiple
        along = (-(-length // multiple) for length in (height, width))
        count = math.prod(1 if length <= side else -(-(length - shared) // (side - shared)) for length in along)
        found.append((1 if scope.get("about") else count, count))
    return min(least for least, _ in found), max(most for _, most in found)


def _shown(node: Node, scope: Facts) -> Iterator[tuple[int, int]]:
    """Height and width of each picture, 0 where they are not known: of the turn, or of those that it learns from."""
    from retouch import pictures

    edges = [edge for _, edge in node.edges() if isinstance(edge, FromEngine) and edge.type == TRAINING]
    paths = [path for edge in edges for path, _ in edge.settings.get("learnt", ())]
    for path in paths:
        info = pictures.inspect(path)
        yield info.height, info.width
    if not paths:
        yield int(scope.get("height", 0)), int(scope.get("width", 0))


def _part(size: tuple[int, int], side: int, multiple: int) -> tuple[int, int]:
    """The size that parts of a picture are brought to: of its shape, and of the model's own number of pixels."""
    shape = (size[0] / size[1]) ** 0.5
    height, width = (-(-round(length) // multiple) * multiple for length in (side * shape, side / shape))
    return height, width
