"""What an edited picture is worth, against the exact answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from retouch_bench.drawn import Drawn, read
from retouch_bench.metrics import iou, psnr, ssim, structure_distance
from retouch_storybook.image_text import StorybookImageText, load_image_text
from retouch_storybook.judge import Judge, load_judge

Figures = dict[str, float | None]
DIGITS = 6  # that are kept of a figure


@dataclass(frozen=True)
class Eyes:
    """The models that look at results, neither of which had a part in making them."""

    judge: Judge = field(default_factory=load_judge)
    image_text: StorybookImageText | None = field(default_factory=lambda: _image_text())  # noqa: PLW0108 (defined below)


@dataclass(frozen=True)
class Truth:
    """An edit's exact answer, as tensors."""

    drawn: Drawn

    @cached_property
    def source(self) -> Tensor:
        return read(self.drawn.source)

    @cached_property
    def picture(self) -> Tensor:
        return read(self.drawn.truth)


def seen(truth: Truth, results: Sequence[Tensor], eyes: Eyes) -> list[Figures]:
    """All that can be seen of several results of one edit.  results: each [3, H, W] in [0, 1]"""
    if not results:
        return []
    pictures = torch.stack([truth.source, *results]).float()
    likenesses = zip(eyes.judge(pictures[1:]), _likenesses(truth, pictures, eyes.image_text), strict=True)
    return [
        _rounded({**_pixels(truth, result), **_judged(truth, reading), **likeness})
        for result, (reading, likeness) in zip(results, likenesses, strict=True)
    ]


def _likenesses(truth: Truth, pictures: Tensor, model: StorybookImageText | None) -> list[Figures]:
    """How far each picture is built as the first, and how well it fits the caption of the truth."""
    if model is None:
        return [{"structure": None, "image_text": None} for _ in pictures[1:]]
    keys, count = model.keys(pictures), len(pictures) - 1
    similarities = model.similarity(pictures[1:], [truth.drawn.edit.after.caption()] * count)
    distances = structure_distance(keys[1:], keys[:1].expand(count, -1, -1))
    return [
        {"structure": float(distance), "image_text": float(similarity)}
        for distance, similarity in zip(distances, similarities, strict=True)
    ]


def _pixels(truth: Truth, result: Tensor) -> Figures:
    inside = truth.drawn.inside
    return {
        "psnr_outside": psnr(result, truth.source, ~inside),
        "ssim_outside": ssim(result, truth.source, ~inside),
        "psnr_inside": psnr(result, truth.picture, inside),
        "psnr_truth": psnr(result, truth.picture, torch.ones_like(inside)),
    }


def mask_figures(drawn: Drawn, mask: Tensor | None) -> Figures:
    """A mask against the region on its own cells, and against its pixels, with the most that such cells can reach.

    mask: [h, w] in [0, 1], or None for a pair without one.
    """
    if mask is None:
        return {"mask_iou": None, "mask_iou_pixels": None, "mask_iou_pixels_best": None}
    scale, region = drawn.size // mask.shape[-1], drawn.region > 0
    found, best = mask > 0.5, drawn.cells(scale)
    return _rounded(
        {
            "mask_iou": iou(found, best),
            "mask_iou_pixels": iou(_enlarged(found, scale), region),
            "mask_iou_pixels_best": iou(_enlarged(best, scale), region),
        }
    )


def _enlarged(cells: Tensor, scale: int) -> Tensor:
    return cells.repeat_interleave(scale, 0).repeat_interleave(scale, 1)


def _judged(truth: Truth, reading: object) -> Figures:
    """Whether all that was asked, and all that should have stayed, reads as it does in the truth."""
    edit = truth.drawn.edit

    def right(names: Sequence[str]) -> float:
        return float(all(getattr(reading, name) == getattr(edit.after, name) for name in names))

    asked, kept = right(edit.asked), right(edit.kept)
    return {"asked": asked, "kept": kept, "success": asked * kept}


def _rounded(figures: Mapping[str, float | None]) -> Figures:
    return {name: None if value is None else float(f"{value:.{DIGITS}g}") for name, value in figures.items()}


def _image_text() -> StorybookImageText | None:
    """The image-text model; None where its weights are not installed, and then its two figures are missing."""
    try:
        return load_image_text()
    except FileNotFoundError:
        return None
