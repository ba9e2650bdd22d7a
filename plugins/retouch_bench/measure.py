"""What an edited picture is worth, against the exact answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from retouch_bench.drawn import Drawn, read
from retouch_bench.metrics import iou, psnr, ssim, structure_distance
from retouch_storybook.image_text import ImageText, load_image_text
from retouch_storybook.judge import Judge, load_judge

Figures = dict[str, float | None]
DIGITS = 6  # that are kept of a figure


@dataclass(frozen=True)
class Eyes:
    """The models that look at results, neither of which had a part in making them."""

    judge: Judge = field(default_factory=load_judge)
    image_text: ImageText = field(default_factory=load_image_text)


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


def measured(truth: Truth, results: Sequence[Tensor], masks: Sequence[Tensor | None], eyes: Eyes) -> list[Figures]:
    """All figures of several results of one edit.

    results: each [3, H, W] in [0, 1].  masks: each [h, w] in [0, 1] on latent cells, or None for a pair without one.
    """
    pictures = torch.stack([truth.source, *results]).float()
    readings = eyes.judge(pictures[1:])
    caption = truth.drawn.edit.after.caption()
    likeness = eyes.image_text.similarity(pictures[1:], [caption] * len(results))
    keys = eyes.image_text.keys(pictures)
    distances = structure_distance(keys[1:], keys[:1].expand_as(keys[1:]))
    return [
        _rounded(
            {
                **_pixels(truth, result),
                **_mask(truth, mask),
                **_judged(truth, reading),
                "structure": float(distance),
                "image_text": float(similarity),
            }
        )
        for result, mask, reading, distance, similarity in zip(
            results, masks, readings, distances, likeness, strict=True
        )
    ]


def _pixels(truth: Truth, result: Tensor) -> Figures:
    inside = truth.drawn.inside
    return {
        "psnr_outside": psnr(result, truth.source, ~inside),
        "ssim_outside": ssim(result, truth.source, ~inside),
        "psnr_inside": psnr(result, truth.picture, inside),
        "psnr_truth": psnr(result, truth.picture, torch.ones_like(inside)),
    }


def _mask(truth: Truth, mask: Tensor | None) -> Figures:
    """Against the region on the mask's own cells, and against its pixels, with the most that such cells can reach."""
    if mask is None:
        return {"mask_iou": None, "mask_iou_pixels": None, "mask_iou_pixels_best": None}
    drawn, region = truth.drawn, truth.drawn.region > 0
    scale = drawn.size // mask.shape[-1]
    found, best = mask > 0.5, drawn.cells(scale)
    return {
        "mask_iou": iou(found, best),
        "mask_iou_pixels": iou(_enlarged(found, scale), region),
        "mask_iou_pixels_best": iou(_enlarged(best, scale), region),
    }


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
