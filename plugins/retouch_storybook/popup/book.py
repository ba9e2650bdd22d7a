"""A scene of cards, each on a plane of its own, and what a pinhole camera sees of it.

A card's texture is what the middle camera sees of it, so that the middle view is the storybook's drawing, and any other
view is a homography for each plane (Hartley and Zisserman 2004, eq. 13.2): exact, and so is any edit.

World: x right, y away, z up; the ground is z = 0, the subject stands at y = 0, a wall closes the scene behind.  Poses
are camera to world and cameras look along their -z, as in transforms.json.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from retouch_storybook.popup.cards import Card, Recorder, cut, stacked
from retouch_storybook.world.colors import COAT, INK, contrast
from retouch_storybook.world.pen import Pen
from retouch_storybook.world.render import CLOTHES, DRAWINGS, SHADOW, Layout
from retouch_storybook.world.scene import ANIMALS, Scene
from retouch_storybook.world.settings import PAINTERS, SIDE

FOCAL = 1.2 * SIDE  # pixels of the canvas
AWAY, PITCH = 4.0, math.radians(10)  # of the middle camera: from the subject, in the world's units, and down
RELIEF = 0.022  # between one stroke of the subject and the next
BEYOND = 448  # pixels that a backdrop goes on beyond the canvas
WALL, GROUND = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
AZIMUTH, ELEVATION = 18.0, 7.0  # degrees within which the judge still reads every drawing
LENS = np.array([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]])
TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
Matrix = np.ndarray  # [4, 4]


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A card in the world.

    texture: Tensor  # [4, H, W], premultiplied, as the middle camera sees it
    left, top: of the texture, in pixels of the middle canvas.
    normal, offset: of the plane, normal · X = offset.
    endless: whether its border goes on for ever.
    """

    texture: Tensor
    left: int
    top: int
    normal: tuple[float, float, float]
    offset: float
    endless: bool = False


class PopUp:
    """One scene as a pop-up book."""

    def __init__(self, scene: Scene) -> None:
        if scene.style:
            raise ValueError(f"a style is of the whole picture, and '{scene.caption()}' has one: draw it without")
        self.scene = scene
        layout = Layout.of(scene.seed)
        self._layout = layout
        self.height = AWAY * _slope(layout.ground[1])  # of the middle camera, so that the subject stands at y = 0
        rng = layout.backdrop
        horizon = int(SIDE * (0.52 + 0.10 * rng.random()))  # as `paint_setting` draws it
        wall = self.height / _slope(horizon) - AWAY
        self.planes = [*_backdrop(scene, horizon, wall, rng), *self._subject()]

    @property
    def _depth(self) -> float:
        """Of the subject's foot, before the middle camera."""
        return AWAY * math.cos(PITCH) + self.height * math.sin(PITCH)

    @cached_property
    def middle(self) -> Matrix:
        """The pose of the middle camera."""
        right, forward = np.array([1.0, 0, 0]), np.array([0, math.cos(PITCH), -math.sin(PITCH)])
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(right, forward), -forward, np.array([0, -AWAY, self.height])], 1)
        return pose

    def pose(self, azimuth: float, elevation: float) -> Matrix:
        """The middle camera turned about what it looks at; degrees, to the right and up."""
        a, e = math.radians(azimuth), -math.radians(elevation)
        aside = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
        up = np.array([[1, 0, 0], [0, math.cos(e), -math.sin(e)], [0, math.sin(e), math.cos(e)]])
        turn, pivot = np.eye(4), np.array([0, 0, self.height - AWAY * math.tan(PITCH)])
        turn[:3, :3] = aside @ up
        turn[:3, 3] = pivot - turn[:3, :3] @ pivot
        return turn @ self.middle

    @property
    def foot(self) -> tuple[float, float]:
        """Where the subject stands on the ground: x and y."""
        return (self._layout.ground[0] - SIDE / 2) / FOCAL * self._depth, 0.0

    def render(self, pose: Matrix, size: int = 64) -> Image.Image:
        """The exact picture from a pose, drawn large and reduced as the storybook does."""
        return self.canvas(pose).resize((size, size), Image.Resampling.LANCZOS)

    @torch.no_grad()
    def canvas(self, pose: Matrix) -> Image.Image:
        """The picture from a pose at SIDE by SIDE pixels."""
        out = torch.zeros(3, SIDE, SIDE)
        for plane in self.planes:
            window = _window(plane, self.middle, pose)
            if window is None:
                continue
            rows, columns = window
            seen = _seen(plane, self.middle, pose, rows, columns)
            part = out[:, rows, columns]
            out[:, rows, columns] = seen[:3] + part * (1 - seen[3:])
        return Image.fromarray((out.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())

    def _subject(self) -> list[Plane]:
        scene, (x, y), unit = self.scene, self._layout.ground, self._layout.unit
        shadow = Image.new("L", (SIDE, SIDE))
        around = [x - 1.3 * unit, y - 0.12 * unit, x + 1.3 * unit, y + 0.18 * unit]
        ImageDraw.Draw(shadow).ellipse(around, fill=SHADOW)
        cast = Image.new("RGBA", (SIDE, SIDE), (*INK, 0))
        cast.putalpha(shadow)
        coat, recorder = COAT[scene.color], Recorder()
        outline = contrast(coat, 0.62 if scene.subject in ANIMALS else 0.6, on_black=(90, 90, 98))
        pen = Pen(recorder.pen, self._layout.ground, unit, coat, outline)
        DRAWINGS[scene.subject](pen)
        if scene.accessory:
            CLOTHES[scene.accessory](pen)
        strokes = [_plane(card.picture, WALL, -RELIEF * (i + 1)) for i, card in enumerate(recorder.cards)]
        return [each for each in (_plane(cast, GROUND, 0.0), *strokes) if each]


def region(before: PopUp, after: PopUp, pose: Matrix, size: int = 64) -> np.ndarray:
    """Where any part of a pixel differs between two scenes, [size, size] bool."""
    one, other = (np.asarray(book.canvas(pose)).astype(int) for book in (before, after))
    differs = (np.abs(one - other).max(-1) > 2).astype(np.uint8) * 255
    return np.asarray(Image.fromarray(differs).resize((size, size), Image.Resampling.BOX)) > 0


def angles(count: int, kind: Literal["training", "held out"] = "training") -> list[tuple[float, float]]:
    """Azimuths and elevations in degrees, evenly spread (Roberts' R2 sequence); of training the first is the middle."""
    g, shift = 1.32471795724474602596, 0.0 if kind == "training" else 0.37
    found = [] if shift else [(0.0, 0.0)]
    for i in range(1, count + 1):
        u, v = (0.5 + i / g + shift) % 1, (0.5 + i / g**2 + shift) % 1
        found.append(((2 * u - 1) * AZIMUTH, (2 * v - 1) * ELEVATION))
    return found[:count]


def _slope(row: float) -> float:
    """How far down a ray through this row of the middle canvas goes, for each unit that it goes on."""
    return math.tan(PITCH + math.atan((row - SIDE / 2) / FOCAL))


def _backdrop(scene: Scene, horizon: int, wall: float, rng: object) -> list[Plane]:
    """The wall with what hangs and stands before it, and the ground with what lies on it."""
    base = Image.new("RGB", (SIDE, SIDE))
    recorder = Recorder(base)
    PAINTERS[scene.setting](recorder.pen, horizon, rng)  # pyright: ignore[reportArgumentType]
    standing = [card for card in recorder.cards if _stands(card, horizon)]
    others = [card for card in recorder.cards if card not in standing]
    above = [card for card in others if _middle(card) < horizon]
    below = [card for card in others if card not in above]
    sky = np.asarray(cut(base, 0, horizon)).copy()
    sky[horizon:] = sky[horizon - 1]  # the row at the horizon goes on below, so that no seam shows
    earth = np.asarray(cut(base, horizon, SIDE))
    found = [
        _plane(Image.fromarray(sky), WALL, wall, endless=True),
        _plane(stacked(above), WALL, 0.8 * wall, mirrored=True),
        _plane(Image.fromarray(earth), GROUND, 0.0, mirrored=True),
        _plane(stacked(below), GROUND, 0.0, mirrored=True),
        _plane(stacked(standing), WALL, 0.9 * wall, mirrored=True),
    ]
    return [each for each in found if each]


def _middle(card: Card) -> float:
    return (card.box[1] + card.box[3]) / 2


def _stands(card: Card, horizon: int) -> bool:
    """Whether a card is of a thing that stands at the horizon, such as a cactus: higher than wide, its foot there."""
    left, top, right, bottom = card.box
    reaches = top < horizon - 8 and bottom > horizon - 30 and _middle(card) < horizon
    return reaches and bottom - top < 200 and right - left < 60


def _plane(
    picture: Image.Image,
    normal: tuple[float, float, float],
    offset: float,
    *,
    mirrored: bool = False,
    endless: bool = False,
) -> Plane | None:
    """A card on its plane, cut to what is on it; mirrored beyond the canvas at both sides, a ground also below."""
    data = torch.from_numpy(np.asarray(picture).astype(np.float32) / 255).permute(2, 0, 1)
    data = torch.cat([data[:3] * data[3:], data[3:]])
    left = top = 0
    if mirrored:
        data = F.pad(data[None], (BEYOND, BEYOND, 0, 0), mode="reflect")[0]
        left = -BEYOND
    drawn = data[3] > 0
    rows, columns = drawn.any(1).nonzero()[:, 0], drawn.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    (first, last), (near, far) = ((int(each[0]), int(each[-1]) + 1) for each in (rows, columns))
    data = data[:, first:last, near:far]
    if mirrored and bool((data[3] > 0).all()):  # a ground
        beyond = min(BEYOND, data.shape[1] - 1)
        data = F.pad(data[None], (0, 0, 0, beyond), mode="reflect")[0]
        data = F.pad(data[None], (0, 0, 0, BEYOND - beyond), mode="replicate")[0]
    return Plane(data.contiguous(), left + near, top + first, normal, offset, endless)


def _homography(plane: Plane, middle: Matrix, pose: Matrix) -> tuple[np.ndarray, np.ndarray, float]:
    """From pixels of a view to those of the middle camera, [3, 3], up to the plane's depth; its parts come with it."""
    here, there = pose @ TO_OPENCV, middle @ TO_OPENCV
    normal = np.asarray(plane.normal)
    rays = here[:3, :3] @ np.linalg.inv(LENS)
    gap = plane.offset - normal @ here[:3, 3]
    through = np.outer(here[:3, 3] - there[:3, 3], normal) + gap * np.eye(3)
    return LENS @ there[:3, :3].T @ through @ rays, normal @ rays, float(gap)


def _window(plane: Plane, middle: Matrix, pose: Matrix) -> tuple[slice, slice] | None:
    """Rows and columns of the view in which a card may be seen; None where it is out of sight."""
    whole = slice(0, SIDE)
    if plane.endless:
        return whole, whole
    h, w = plane.texture.shape[-2:]
    xs, ys = (plane.left, plane.left + w), (plane.top, plane.top + h)
    corners = np.array([(x, y, 1.0) for x in xs for y in ys]).T
    back, _, _ = _homography(plane, pose, middle)
    seen = back @ corners
    _, slopes, gap = _homography(plane, pose, middle)
    if ((seen[2] / (slopes @ corners) <= 0) | (gap / (slopes @ corners) <= 0)).any():
        return whole, whole  # part of it is behind a camera
    at = seen[:2] / seen[2]
    (left, top), (right, bottom) = np.floor(at.min(1)) - 1, np.ceil(at.max(1)) + 1
    found = slice(max(0, int(top)), min(SIDE, int(bottom))), slice(max(0, int(left)), min(SIDE, int(right)))
    return found if all(each.start < each.stop for each in found) else None


def _seen(plane: Plane, middle: Matrix, pose: Matrix, rows: slice, columns: slice) -> Tensor:
    """What a view sees of a card in a window of it.  [4, h, w], premultiplied"""
    matrix, slopes, gap = _homography(plane, middle, pose)
    ys, xs = np.mgrid[rows, columns] + 0.5
    pixels = np.stack([xs, ys, np.ones_like(xs)]).reshape(3, -1)
    found, slope = matrix @ pixels, slopes @ pixels
    ahead = (gap / slope > 0) & (found[2] / slope > 0)
    h, w = plane.texture.shape[-2:]
    at = (found[:2] / found[2] - [[plane.left], [plane.top]]) / [[w], [h]] * 2 - 1
    grid = torch.from_numpy(np.where(ahead, at, 9.0)).float().reshape(1, 2, *xs.shape).permute(0, 2, 3, 1)
    fill = "border" if plane.endless else "zeros"
    return F.grid_sample(plane.texture[None], grid, mode="bilinear", align_corners=False, padding_mode=fill)[0]
