"""The photograph round an edit, as sharp as the edit is.  Ackermann and Li 2022, arXiv:2210.12965, section 3."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import Image, Range, Window, resized, stage


@stage("surround", "lowpass", default=True, paper="arXiv:2210.12965")
def lowpass(image: Image, window: Window, *, detail: Annotated[float, Range(0.05, 1)] = 0.70710678) -> Image:
    """Bring the photograph's own pixels back round the mask, at the size that the window has now, and as soft.

    Choose it between enlarging an edit and denoising it again: the network then carries the photograph's detail over
    the mask's edge, and is not told by a difference in sharpness where that is.

    detail: the size at which the photograph is as sharp as the edit, as a share of its size now; 1 keeps all detail.
    """
    height, width = image.size
    area = window.mask.resized(height, width).data
    small = resized(window.whole.part(window.box).data, *(max(1, round(side * detail)) for side in (height, width)))
    around = resized(small, height, width).to(image.data)
    return Image(torch.lerp(around, image.data, area.to(image.data)), image.alpha)
