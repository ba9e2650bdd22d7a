"""Closed solids that a ray meets in closed form: affine images of a ball, a tube, a cone and a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from retouch_storybook.world.colors import RGB

Rays = np.ndarray  # [R, 3]
Shape = Literal["ball", "tube", "cone", "block"]
NEVER = np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """One solid of one colour.

    shape: "ball" is |p| = 1, "tube" x² + y² = 1 and "cone" x² + y² = ((1 - z) / 2)², both between z = -1 and 1 and
        closed there, "block" |x|, |y|, |z| = 1.
    place: [4, 4], from there to the world.
    """

    shape: Shape
    place: np.ndarray
    color: RGB

    def met(self, origins: Rays, directions: Rays) -> tuple[np.ndarray, np.ndarray]:
        """How far along each ray it is met first, infinite where never, and its normal there.  [R], [R, 3]"""
        back = np.linalg.inv(self.place)
        o, d = origins @ back[:3, :3].T + back[:3, 3], directions @ back[:3, :3].T
        t, normal = _MET[self.shape](o, d)
        normal = normal @ back[:3, :3]
        return t, normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def placed(shape: Shape, middle: tuple[float, ...], radii: tuple[float, ...], color: RGB, tilt: float = 0.0) -> Solid:
    """A solid by its middle and its half extents; tilt: degrees in which its top leans to the right, about y."""
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    place = np.eye(4)
    place[:3, :3] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.diag(radii)
    place[:3, 3] = middle
    return Solid(shape, place, color)


def _roots(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both solutions of a t² + 2 b t + c = 0 in order, infinite where there are none.  [R] each"""
    a = np.where(np.abs(a) < 1e-12, 1e-12, a)
    inside = b * b - a * c
    root = np.sqrt(np.maximum(inside, 0))
    one, two = (-b - root) / a, (-b + root) / a
    none = inside < 0
    return np.where(none, NEVER, np.minimum(one, two)), np.where(none, NEVER, np.maximum(one, two))


def _first(found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of several meetings that lie ahead."""
    times = np.stack([np.where(t > 1e-9, t, NEVER) for t, _ in found])
    which = times.argmin(0)
    normals = np.stack([normal for _, normal in found])
    rays = np.arange(times.shape[1])
    return times[which, rays], normals[which, rays]


def _ball(o: Rays, d: Rays) -> tuple[np.ndarray, np.ndarray]:
    both = _roots((d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - 1)
    return _first([(t, _at(o, d, t)) for t in both])


def _tube(o: Rays, d: Rays) -> tuple[np.ndarray, np.ndarray]:
    flat_o, flat_d = o * [1, 1, 0], d * [1, 1, 0]
    both = _roots((flat_d**2).sum(1), (flat_o * flat_d).sum(1), (flat_o**2).sum(1) - 1)
    sides = [(np.where(np.abs(_at(o, d, t)[:, 2]) <= 1, t, NEVER), _at(o, d, t) * [1, 1, 0]) for t in both]
    return _first([*sides, *(_cap(o, d, z, 1.0) for z in (-1.0, 1.0))])


def _cone(o: Rays, d: Rays) -> tuple[np.ndarray, np.ndarray]:
    r, slope = (1 - o[:, 2]) / 2, -d[:, 2] / 2  # the radius along the ray
    a, b = (d[:, :2] ** 2).sum(1) - slope**2, (o[:, :2] * d[:, :2]).sum(1) - r * slope
    sides: list[tuple[np.ndarray, np.ndarray]] = []
    for t in _roots(a, b, (o[:, :2] ** 2).sum(1) - r**2):
        p = _at(o, d, t)
        normal = np.concatenate([p[:, :2], ((1 - p[:, 2]) / 4)[:, None]], 1)
        sides.append((np.where(np.abs(p[:, 2]) <= 1, t, NEVER), normal))
    return _first([*sides, _cap(o, d, -1.0, 1.0)])


def _block(o: Rays, d: Rays) -> tuple[np.ndarray, np.ndarray]:
    d = np.where(np.abs(d) < 1e-12, 1e-12, d)
    one, two = (-1 - o) / d, (1 - o) / d
    near = np.minimum(one, two)
    axis = near.argmax(1)
    t = near.max(1)
    hit = (t < np.maximum(one, two).min(1)) & (t > 1e-9)
    normal = np.zeros_like(o)
    rays = np.arange(len(o))
    normal[rays, axis] = -np.sign(d[rays, axis])
    return np.where(hit, t, NEVER), normal


def _cap(o: Rays, d: Rays, z: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The disc that closes a tube or a cone."""
    t = (z - o[:, 2]) / np.where(np.abs(d[:, 2]) < 1e-12, 1e-12, d[:, 2])
    inside = (_at(o, d, t)[:, :2] ** 2).sum(1) <= radius**2
    return np.where(inside, t, NEVER), np.broadcast_to([0, 0, np.sign(z)], o.shape)


def _at(o: Rays, d: Rays, t: np.ndarray) -> Rays:
    return o + d * np.where(np.isfinite(t), t, 0.0)[:, None]


_MET = {"ball": _ball, "tube": _tube, "cone": _cone, "block": _block}
