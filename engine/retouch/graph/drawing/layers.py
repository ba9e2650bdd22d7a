"""A layered layout.  Sugiyama, Tagawa, Toda 1981: ranks, an order with few crossings, places.

Everything here is in abstract boxes of (width, height); no box knows what it shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Edge = tuple[str, str]
Size = tuple[float, float]
Point = tuple[float, float]
SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Layering:
    """Centres of boxes, and the points that each edge passes: from a lower side, through gaps, to an upper side."""

    centres: Mapping[str, Point]
    paths: Mapping[Edge, Sequence[Point]]
    width: float
    height: float


@dataclass(slots=True)
class _Layers:
    """Boxes by rank, with a thin stand-in wherever an edge passes a rank."""

    sizes: dict[str, Size]
    layers: list[list[str]]
    above: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    below: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    chains: dict[Edge, list[str]] = field(default_factory=dict[Edge, list[str]])


def layout(sizes: Mapping[str, Size], edges: Sequence[Edge], gap: Size) -> Layering:
    """Places for boxes that are named makers before takers; `gap` is (between neighbours, between ranks)."""
    made = _layered(sizes, edges)
    _order(made)
    x = _columns(made, gap[0])
    left = min((x[name] - made.sizes[name][0] / 2 for name in x), default=0.0)
    tops, height = _rows(made, gap[1])
    centres = {name: (x[name] - left, tops[name] + made.sizes[name][1] / 2) for name in x}
    paths = _paths(made, centres)
    width = max((centres[name][0] + made.sizes[name][0] / 2 for name in x), default=0.0)
    return Layering({name: centres[name] for name in sizes}, paths, width, height)


def _layered(sizes: Mapping[str, Size], edges: Sequence[Edge]) -> _Layers:
    """Place each box below all that feed it, and as near as it can be to what it feeds."""
    rank = dict.fromkeys(sizes, 0)
    for name in sizes:
        rank[name] = max((rank[start] + 1 for start, end in edges if end == name), default=0)
    # A second pass from the ends: what feeds one late stage alone would else stand at the very top.
    for name in reversed(list(sizes)):
        rank[name] = min((rank[end] - 1 for start, end in edges if start == name), default=rank[name])
    made = _Layers(dict(sizes), [[] for _ in range(max(rank.values(), default=-1) + 1)])
    for name in sizes:
        made.layers[rank[name]].append(name)
    for start, end in edges:
        # A stand-in in each rank lets edges be ordered and spaced as boxes are, so none runs through a box.
        passed = [f"{start}>{end}@{level}" for level in range(rank[start] + 1, rank[end])]
        for level, name in enumerate(passed, rank[start] + 1):
            made.sizes[name] = (1.0, 0.0)
            made.layers[level].append(name)
        made.chains[start, end] = [start, *passed, end]
        for upper, lower in pairwise(made.chains[start, end]):
            made.above[lower].append(upper)
            made.below[upper].append(lower)
    return made


def _order(made: _Layers) -> None:
    """Sort each rank by the mean place of its neighbours, downwards and upwards in turn; keep the best order seen."""
    best, fewest = [list(layer) for layer in made.layers], _crossings(made)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = made.above if down else made.below
        order = range(1, len(made.layers)) if down else range(len(made.layers) - 2, -1, -1)
        for level in order:
            place = {name: i for i, name in enumerate(made.layers[level - 1 if down else level + 1])}
            own = {name: i for i, name in enumerate(made.layers[level])}
            made.layers[level].sort(key=lambda name: _mean([place[n] for n in near[name]], own[name]))
        # Sweeps may make it worse, and go round in circles; the best is kept.
        if (now := _crossings(made)) < fewest:
            best, fewest = [list(layer) for layer in made.layers], now
    made.layers = best


def _crossings(made: _Layers) -> int:
    total = 0
    for upper, lower in pairwise(made.layers):
        place = {name: i for i, name in enumerate(lower)}
        ends = [sorted(place[n] for n in made.below[name]) for name in upper]
        total += sum(a > b for i, left in enumerate(ends) for a in left for right in ends[i + 1 :] for b in right)
    return total


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _columns(made: _Layers, gap: float) -> dict[str, float]:
    """Draw every box towards the mean of its neighbours, as far as its rank's order leaves room."""
    x: dict[str, float] = {}
    for layer in made.layers:
        edge = 0.0
        for name in layer:
            x[name] = edge + made.sizes[name][0] / 2
            edge += made.sizes[name][0] + gap
    for sweep in range(2 * SWEEPS):
        layers, near = (made.layers, made.above) if sweep % 2 == 0 else (made.layers[::-1], made.below)
        for layer in layers:
            wanted = [_mean([x[n] for n in near[name]], x[name]) for name in layer]
            x |= zip(layer, _apart(wanted, [made.sizes[name][0] for name in layer], gap), strict=True)
    return x


def _apart(wanted: Sequence[float], widths: Sequence[float], gap: float) -> list[float]:
    """The places nearest to those wanted, in the same order and without overlap: blocks that meet move as one."""
    offset, offsets = 0.0, [0.0]
    for a, b in pairwise(widths):
        offset += (a + b) / 2 + gap
        offsets.append(offset)
    blocks: list[list[float]] = []
    for place, shift in zip(wanted, offsets, strict=False):
        blocks.append([place - shift])
        # Pool adjacent violators: the least squares under this order, in one pass.
        while len(blocks) > 1 and _mean(blocks[-2], 0) > _mean(blocks[-1], 0):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    starts = [_mean(block, 0) for block in blocks for _ in block]
    return [start + shift for start, shift in zip(starts, offsets, strict=False)]


def _rows(made: _Layers, gap: float) -> tuple[dict[str, float], float]:
    """Return the upper side of each box, boxes of a rank on one line, and the height of all."""
    tops: dict[str, float] = {}
    y = 0.0
    for layer in made.layers:
        tall = max(made.sizes[name][1] for name in layer)
        for name in layer:
            width, height = made.sizes[name]
            if not height:  # an edge goes straight down between the boxes of the rank
                made.sizes[name] = (width, tall)
            tops[name] = y + (tall - made.sizes[name][1]) / 2
        y += tall + gap
    return tops, max(y - gap, 0.0)


def _paths(made: _Layers, centres: Mapping[str, Point]) -> dict[Edge, list[Point]]:
    """Return where each edge leaves, passes and arrives; those of one side stand apart."""
    leaves, arrives = _ports(made, made.below, centres), _ports(made, made.above, centres)
    paths: dict[Edge, list[Point]] = {}
    for edge, chain in made.chains.items():
        sides = [
            (name, y + sign * made.sizes[name][1] / 2) for name in chain for y in [centres[name][1]] for sign in (-1, 1)
        ]
        points = [(centres[name][0], y) for name, y in sides[1:-1]]
        points[0] = (leaves[chain[0], chain[1]], points[0][1])
        points[-1] = (arrives[chain[-1], chain[-2]], points[-1][1])
        paths[edge] = points
    return paths


def _ports(made: _Layers, near: Mapping[str, Sequence[str]], centres: Mapping[str, Point]) -> dict[Edge, float]:
    """Return where the edges of each box meet its side, keyed by (box, neighbour)."""
    ports: dict[Edge, float] = {}
    for name, ends in near.items():
        ordered = sorted(ends, key=lambda end: centres[end])
        # Edges of a narrow box come closer together, and still meet it within its corners.
        apart = min(24.0, 0.8 * made.sizes[name][0] / max(len(ordered), 1))
        for i, end in enumerate(ordered):
            ports[name, end] = centres[name][0] + (i - (len(ordered) - 1) / 2) * apart
    return ports
