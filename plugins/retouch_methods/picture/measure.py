"""How far a result is from the picture that its turn began with."""

from __future__ import annotations

import math
from typing import Annotated

from torch import Tensor

from retouch.api import Ending, Figures, Image, Mask, SourceImage, stage


@stage("measure", "change", default=True)
def change(
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
    found = {"psnr": _psnr(gap)}
    if mask is not None:
        area = mask.pixels(*gap.shape) > 0  # [H, W], bool
        found |= {"psnr_inside": _psnr(gap[area]), "psnr_outside": _psnr(gap[~area])}
        found["area"] = float(area.double().mean())
    figures.put(found)


def _bytes(picture: Tensor) -> Tensor:
    """The colours [3, H, W] that a file holds, in [0, 1]."""
    return (picture.clamp(0, 1) * 255).round().double() / 255


def _psnr(gap: Tensor) -> float:
    """Of squared differences of colours in [0, 1]; nan where there are none."""
    if not gap.numel():
        return math.nan
    error = float(gap.mean())
    return -10 * math.log10(error) if error else math.inf
