"""Where lines of sight meet, and between which depths there is something, told by the cameras alone.

Loads no torch: recipes are checked with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

PARALLEL = 1e-5  # squared sine between optical axes (0.2 degrees), up to which no depth follows from them
FIRST, LAST = 0.6, 2.6  # of the cameras' distance, between which a scene lies
ONE_SIDE = 0.8  # mean optical axes shorter than this look from more than one side
ASLANT = 0.1  # cosine to the mean axis, down to which a frustum before the mean camera holds a ray
FAR_AWAY = 100  # times as far from the world's origin as from each other, places are counted from their own middle
Vector = Sequence[float]


class PinholeLens(Protocol):
    """A pinhole, in pixels."""

    @property
    def fx(self) -> float: ...
    @property
    def fy(self) -> float: ...
    @property
    def cx(self) -> float: ...
    @property
    def cy(self) -> float: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Meeting:
    """The point that is nearest to all optical axes, where it lies before the cameras.

    away: of each camera, how far it stands from there.
    """

    middle: tuple[float, float, float]
    away: tuple[float, ...]

    def of_scene(self) -> tuple[float, float]:
        """Between which depths a scene lies that was photographed from one side."""
        return FIRST * min(self.away), LAST * max(self.away)

    def of_thing(self, poses: Sequence[Sequence[Vector]], lenses: Sequence[PinholeLens]) -> tuple[float, float]:
        """Between which depths a thing lies that was walked round, and what is behind it.

        It fits into most pictures: so it lies in the ball about the middle that half of the cameras see whole, and
        nearer than that there is air, which fitting would else fill with what one camera alone sees.
        """
        seen = zip(poses, lenses, strict=True)
        radius = median(_ball(_from(pose, self.middle), lens) for pose, lens in seen)
        return max(0.05 * min(self.away), min(self.away) - max(radius, 0.0)), LAST * max(self.away)


def meeting(poses: Sequence[Sequence[Vector]]) -> Meeting | None:
    """Where the optical axes of cameras meet; None if they do so nowhere before most of them.

    poses: of each camera, rows of its matrix to the world.
    """
    places = [[row[3] for row in pose[:3]] for pose in poses]
    axes = [_unit([-row[2] for row in pose[:3]]) for pose in poses]
    if all(_dot(axis, axes[0]) ** 2 > 1 - PARALLEL for axis in axes):
        return None
    # From their mean: a scene may lie far from where the world begins.
    mean = [sum(column) / len(places) for column in zip(*places, strict=True)]
    whole, sums = [[0.0] * 3 for _ in range(3)], [0.0] * 3
    for place, axis in zip(places, axes, strict=True):
        for i in range(3):
            across = [float(i == j) - axis[i] * axis[j] for j in range(3)]
            sums[i] += sum(each * (a - b) for each, a, b in zip(across, place, mean, strict=True))
            whole[i] = [a + b for a, b in zip(whole[i], across, strict=True)]
    found = _solved(whole, sums)
    middle = (mean[0] + found[0], mean[1] + found[1], mean[2] + found[2])
    gaps = [[a - b for a, b in zip(middle, place, strict=True)] for place in places]
    away = tuple(math.hypot(*gap) for gap in gaps)
    spread = max(math.hypot(*(a - b for a, b in zip(place, mean, strict=True))) for place in places)
    ahead = sum(_dot(gap, axis) > 1e-3 * spread for gap, axis in zip(gaps, axes, strict=True))
    return Meeting(middle, away) if spread and 2 * ahead > len(poses) and min(away) > 1e-3 * spread else None


def centre_of(poses: Sequence[Sequence[Vector]]) -> tuple[float, float, float]:
    """From where the places of cameras are to be counted, so that float32 holds them: the origin, or their mean.

    Georeferenced places are millions of units from the origin, where float32 tells half a unit.
    """
    places = [[row[3] for row in pose[:3]] for pose in poses]
    x, y, z = (sum(column) / len(places) for column in zip(*places, strict=True))
    spread = max(math.hypot(place[0] - x, place[1] - y, place[2] - z) for place in places)
    return (x, y, z) if math.hypot(x, y, z) > FAR_AWAY * spread else (0.0, 0.0, 0.0)


def facing(poses: Sequence[Sequence[Vector]]) -> float:
    """The length of the mean of the optical axes, 1 where all look one way."""
    return math.hypot(*_mean_axis(poses))


def front(poses: Sequence[Sequence[Vector]], lenses: Sequence[PinholeLens]) -> float:
    """The least cosine of any ray of a picture to the mean of the optical axes; 0 of rays that look back."""
    mean = _mean_axis(poses)
    if not math.hypot(*mean):
        return 0.0
    mean = _unit(mean)
    least = 1.0
    for pose, lens in zip(poses, lenses, strict=True):
        for x in (-lens.cx / lens.fx, (lens.width - lens.cx) / lens.fx):
            for y in (lens.cy / lens.fy, (lens.cy - lens.height) / lens.fy):
                ray = [x * row[0] + y * row[1] - row[2] for row in pose[:3]]
                least = min(least, _dot(_unit(ray), mean))
    return max(least, 0.0)


def from_one_side(poses: Sequence[Sequence[Vector]], lenses: Sequence[PinholeLens]) -> bool:
    """Whether a frustum before the mean camera holds what was photographed, so that no box is needed."""
    return facing(poses) > ONE_SIDE and front(poses, lenses) > ASLANT


def _mean_axis(poses: Sequence[Sequence[Vector]]) -> list[float]:
    axes = [_unit([-row[2] for row in pose[:3]]) for pose in poses]
    return [sum(column) / len(axes) for column in zip(*axes, strict=True)]


def _ball(point: Vector, lens: PinholeLens) -> float:
    """The radius of the ball about a point before a camera that it sees whole; negative where it sees not even that."""
    x, y, depth = point
    sides = [
        (lens.cx * depth + lens.fx * x) / math.hypot(lens.fx, lens.cx),
        ((lens.width - lens.cx) * depth - lens.fx * x) / math.hypot(lens.fx, lens.width - lens.cx),
        (lens.cy * depth - lens.fy * y) / math.hypot(lens.fy, lens.cy),
        ((lens.height - lens.cy) * depth + lens.fy * y) / math.hypot(lens.fy, lens.height - lens.cy),
    ]
    return min(*sides, depth)


def _from(pose: Sequence[Vector], point: Vector) -> Vector:
    """A point as a camera has it: to the right, up, and in depth."""
    gap = [a - row[3] for a, row in zip(point, pose[:3], strict=True)]
    right, up, back = (sum(g * row[i] for g, row in zip(gap, pose[:3], strict=True)) for i in range(3))
    return right, up, -back


def _solved(matrix: Sequence[Vector], right: Vector) -> list[float]:
    """Solve three equations, by Cramer's rule."""
    whole = _determinant(matrix)
    columns = range(3)
    swapped = ([[right[i] if j == k else matrix[i][j] for j in columns] for i in columns] for k in columns)
    return [_determinant(each) / whole for each in swapped]


def _determinant(matrix: Sequence[Vector]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    return [each / length for each in vector]


def _dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
