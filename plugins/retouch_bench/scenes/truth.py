"""A scene's views and those held out, before and after an edit, exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from retouch.api import Image, Mask, Turned
from retouch_scenes.views import Lens, Views
from retouch_storybook.popup import PopUp, SpaceEdit, angles, region, write_views
from retouch_storybook.popup.book import FOCAL
from retouch_storybook.solids import LENS, SolidEdit, render, round_about
from retouch_storybook.solids.shapes import Solid
from retouch_storybook.world.settings import SIDE

HELD_SHIFT = 0.41  # of the spiral on which cameras stand round a figure, so that no held-out one is a training one
SEEN = 0.02  # of white: what two pictures differ by where an edit shows


@dataclass(frozen=True)
class SpaceTruth:
    """An edit of a scene, from so many sides, at one size."""

    edit: SpaceEdit
    views: int = 20
    held: int = 8
    size: int = 64

    @cached_property
    def before(self) -> PopUp:
        return PopUp(self.edit.before)

    @cached_property
    def after(self) -> PopUp:
        return PopUp(self.edit.after)

    def seen(self, which: str, kind: str) -> Views:
        """The scene `which`, "before" or "after", from the angles of `kind`, "training" or "held out"."""
        book = getattr(self, which)
        count = self.views if kind == "training" else self.held
        poses = [book.pose(*place) for place in angles(count, kind)]  # pyright: ignore[reportArgumentType]
        focal = FOCAL * self.size / SIDE
        lens = Lens(focal, focal, self.size / 2, self.size / 2, self.size, self.size)
        images = tuple(Image(_tensor(np.asarray(book.render(pose, self.size)))) for pose in poses)
        names = tuple(f"{i:03d}" for i in range(count))
        return Views(images, torch.from_numpy(np.stack(poses)).float(), (lens,) * count, names)

    @cached_property
    def held_truth(self) -> Views:
        return self.seen("after", "held out")

    @cached_property
    def regions(self) -> list[Tensor]:
        """Of each view that is held out, where the edit shows.  [H, W] bool each"""
        poses = [self.before.pose(*place) for place in angles(self.held, "held out")]
        return [torch.from_numpy(region(self.before, self.after, pose, self.size)) for pose in poses]

    def written(self, folder: Path) -> Path:
        """The scene's views in a folder of its own for each number and size of them, written once."""
        folder = folder.with_name(f"{folder.name}-{self.views}x{self.size}")
        if not (folder / "transforms.json").exists():
            poses = [self.before.pose(*place) for place in angles(self.views)]
            pictures = [self.before.render(pose, self.size) for pose in poses]
            write_views(folder, pictures, poses, FOCAL * self.size / SIDE)
        return folder


@dataclass(frozen=True)
class SolidTruth:
    """An edit of a figure that can be walked round, from so many sides, at one size; cut out, so it lies in a box."""

    edit: SolidEdit
    views: int = 20
    held: int = 8
    size: int = 64

    def seen(self, which: str, kind: str) -> Views:
        """The figure `which`, "before" or "after", from the places of `kind`, "training" or "held out"."""
        poses = self._poses(kind)
        lens = Lens(LENS * self.size, LENS * self.size, self.size / 2, self.size / 2, self.size, self.size)
        images = tuple(_over_white(np.asarray(render(self._solids[which], pose, self.size))) for pose in poses)
        names = tuple(f"{i:03d}" for i in range(len(poses)))
        return Views(images, torch.from_numpy(np.stack(poses)).float(), (lens,) * len(poses), names)

    @cached_property
    def held_truth(self) -> Views:
        return self.seen("after", "held out")

    @cached_property
    def regions(self) -> list[Tensor]:
        """Of each view that is held out, where the edit shows.  [H, W] bool each"""
        before = self.seen("before", "held out").images
        return [
            (one.data - other.data).abs().amax(0) > SEEN
            for one, other in zip(before, self.held_truth.images, strict=True)
        ]

    def written(self, folder: Path) -> Path:
        """The figure's views in a folder of its own for each number and size of them, written once."""
        folder = folder.with_name(f"{folder.name}-{self.views}x{self.size}")
        if not (folder / "transforms.json").exists():
            poses = self._poses("training")
            pictures = [render(self._solids["before"], pose, self.size) for pose in poses]
            write_views(folder, pictures, poses, LENS * self.size)
        return folder

    @cached_property
    def _solids(self) -> dict[str, list[Solid]]:
        return {"before": self.edit.before.solids(), "after": self.edit.after.solids()}

    def _poses(self, kind: str) -> list[np.ndarray]:
        return round_about(self.views) if kind == "training" else round_about(self.held, HELD_SHIFT)


class TrueTurn:
    """A flow that knows the answer: what the ceiling is measured with.  It looks pictures up among the views before."""

    def __init__(self, before: Views, after: Views) -> None:
        self._before, self._after = before, after

    async def __call__(
        self, image: Image, *, source: Image | None = None, mask: Mask | None = None, key: str = ""
    ) -> Turned:
        """The true picture, and where it differs."""
        asked = (source or image).data
        gaps = [float((asked - each.data).abs().max()) for each in self._before.images]
        i = min(range(len(gaps)), key=gaps.__getitem__)
        true = self._after.images[i]
        differs = (true.data - self._before.images[i].data).abs().amax(0) > SEEN
        return Turned(true, Mask(differs.float()))


def _over_white(pixels: np.ndarray) -> Image:
    data = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    return Image(data[:3] * data[3] + 1 - data[3], data[3])


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
