"""How far a result is from the picture that its turn began with."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from retouch.api import Ending, Figures, Image, Mask, SourceImage, on_host, stage


@stage("measure", "change", default=True)
async def change(
    image: Image,
    source: SourceImage,
    figures: Figures,
    mask: Mask | None = None,
    *,
    path: Annotated[str, Ending(".csv")],
) -> None:
    """PSNR in dB between the result and its source: over all, and with a mask also inside and outside of it.

    Equal pictures, to the 8 bits that a file holds, have the PSNR inf.

    path: a table, with a line for each result.
    """
    gap = (_bytes(image.data) - _bytes(source.data)).square().mean(0)  # [H, W]
    area = torch.ones_like(gap) if mask is None else (mask.pixels(*gap.shape) > 0).to(gap)  # [H, W], 1 or 0
    sums = torch.stack([gap.sum(), (gap * area).sum(), (gap * (1 - area)).sum(), area.sum()])
    every, inside, outside, cells = (await on_host(sums)).tolist()
    found = {"psnr": _psnr(every, gap.numel())}
    if mask is not None:
        found |= {"psnr_inside": _psnr(inside, cells), "psnr_outside": _psnr(outside, gap.numel() - cells)}
        found["area"] = cells / gap.numel()
    figures.put(found)


def _bytes(picture: Tensor) -> Tensor:
    """The colours [3, H, W] that a file holds, in [0, 1]."""
    return (picture.clamp(0, 1) * 255).round().double() / 255


def _psnr(gap: float, pixels: float) -> float:
    """Of the sum of squared differences of colours in [0, 1] over so many; nan where there are none."""
    if not pixels:
        return math.nan
    return -10 * math.log10(gap / pixels) if gap else math.inf
