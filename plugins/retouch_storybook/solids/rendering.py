"""What a pinhole camera sees of solids: cut out, before nothing, lit alike from every side that it is seen from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from PIL import Image

from retouch_storybook.solids.shapes import NEVER, Rays, Solid

LENS = 1.375  # focal length, in sides of the picture
AWAY = 3.7  # cameras from the middle, in units of the world
FINE = 4  # rays along a pixel's side
LIGHT = np.array([0.35, -0.55, 0.76])  # it stands in the world, so that a place looks the same from all sides
SHADE = 0.72  # of a colour that is turned away from the light


def render(solids: Sequence[Solid], pose: np.ndarray, size: int = 64) -> Image.Image:
    """The picture from a pose, RGBA."""

    def colors(origins: Rays, directions: Rays) -> np.ndarray:
        met, color, normal = traced(solids, origins, directions)
        light = SHADE + (1 - SHADE) * np.clip(normal @ LIGHT, 0, 1)
        hit = np.isfinite(met)[:, None]
        return np.concatenate([color * light[:, None] * hit, hit * 255.0], 1)

    return picture(colors, pose, size, "RGBA")


def picture(
    colors: Callable[[Rays, Rays], np.ndarray], pose: np.ndarray, size: int, mode: Literal["RGB", "RGBA"]
) -> Image.Image:
    """What the camera makes of the colours [R, C] that rays meet, of which there are several in each pixel."""
    fine = size * FINE
    ys, xs = np.mgrid[:fine, :fine] + 0.5
    d = np.stack([(xs - fine / 2) / (LENS * fine), (fine / 2 - ys) / (LENS * fine), -np.ones_like(xs)], -1)
    directions = d.reshape(-1, 3) @ pose[:3, :3].T
    found = colors(np.broadcast_to(pose[:3, 3], directions.shape), directions)
    data = found.reshape(size, FINE, size, FINE, len(mode)).mean((1, 3))
    if mode == "RGBA":
        alpha = data[..., 3:] / 255
        data[..., :3] = np.where(alpha > 0, data[..., :3] / np.maximum(alpha, 1e-9), 0)
    return Image.fromarray(data.round().astype(np.uint8), mode)


def traced(solids: Sequence[Solid], origins: Rays, directions: Rays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far along each ray something is met, infinite where nothing is, its colour and normal.  [R], [R, 3] twice"""
    nearest = np.full(len(directions), NEVER)
    color, normals = np.zeros((2, len(directions), 3))
    for solid in solids:
        t, normal = solid.met(origins, directions)
        ahead = t < nearest
        nearest = np.where(ahead, t, nearest)
        color = np.where(ahead[:, None], np.array(solid.color), color)
        normals = np.where(ahead[:, None], normal, normals)
    return nearest, color, normals


def round_about(count: int, shift: float = 0.0) -> list[np.ndarray]:
    """Poses from all around, from a little below to nearly above, evenly spread along a spiral, towards the middle."""
    golden = (1 + 5**0.5) / 2
    turns = (2 * math.pi * ((i + shift) / golden % 1) for i in range(count))
    return poses_at([(turn, math.asin(-0.3 + 1.15 * (i + 0.5) / count)) for i, turn in enumerate(turns)])


def poses_at(places: Sequence[tuple[float, float]]) -> list[np.ndarray]:
    """Poses of cameras that look at the middle, each by its azimuth and its elevation in radians.  [4, 4] each"""
    found: list[np.ndarray] = []
    for turn, high in places:
        back = np.array([math.cos(turn) * math.cos(high), math.sin(turn) * math.cos(high), math.sin(high)])
        right = np.cross([0, 0, 1.0], back)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(back, right), back, AWAY * back], 1)
        found.append(pose)
    return found
