"""What a pinhole camera sees of solids: cut out, before nothing, lit alike from every side that it is seen from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from retouch_storybook.solids.shapes import NEVER, Solid

LENS = 1.375  # focal length, in sides of the picture
AWAY = 3.7  # cameras from the middle, in units of the world
FINE = 4  # rays along a pixel's side
LIGHT = np.array([0.35, -0.55, 0.76])  # it stands in the world, so that a place looks the same from all sides
SHADE = 0.72  # of a colour that is turned away from the light


def render(solids: Sequence[Solid], pose: np.ndarray, size: int = 64) -> Image.Image:
    """The picture from a pose, RGBA."""
    fine = size * FINE
    ys, xs = np.mgrid[:fine, :fine] + 0.5
    d = np.stack([(xs - fine / 2) / (LENS * fine), (fine / 2 - ys) / (LENS * fine), -np.ones_like(xs)], -1)
    directions = d.reshape(-1, 3) @ pose[:3, :3].T
    origins = np.broadcast_to(pose[:3, 3], directions.shape)
    nearest = np.full(len(directions), NEVER)
    color = np.zeros((len(directions), 3))
    for solid in solids:
        t, normal = solid.met(origins, directions)
        ahead = t < nearest
        nearest = np.where(ahead, t, nearest)
        light = SHADE + (1 - SHADE) * np.clip(normal @ LIGHT, 0, 1)
        color = np.where(ahead[:, None], np.array(solid.color) * light[:, None], color)
    hit = np.isfinite(nearest)[:, None]
    data = np.concatenate([color * hit, hit * 255.0], 1).reshape(size, FINE, size, FINE, 4).mean((1, 3))
    alpha = data[..., 3:] / 255
    data[..., :3] = np.where(alpha > 0, data[..., :3] / np.maximum(alpha, 1e-9), 0)
    return Image.fromarray(data.round().astype(np.uint8), "RGBA")


def round_about(count: int, shift: float = 0.0) -> list[np.ndarray]:
    """Poses from all around, from a little below to nearly above, evenly spread along a spiral, towards the middle."""
    golden = (1 + 5**0.5) / 2
    found: list[np.ndarray] = []
    for i in range(count):
        turn, high = 2 * math.pi * ((i + shift) / golden % 1), math.asin(-0.3 + 1.15 * (i + 0.5) / count)
        eye = AWAY * np.array([math.cos(turn) * math.cos(high), math.sin(turn) * math.cos(high), math.sin(high)])
        back = eye / AWAY
        right = np.cross([0, 0, 1.0], back)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(back, right), back, eye], 1)
        found.append(pose)
    return found
