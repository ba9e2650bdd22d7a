"""The mask of a window, cut down to what an edit changed.  Ackermann and Li 2022, arXiv:2210.12965, section 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from retouch.api import Image, Mask, Range, Window, resized, stage
from retouch_methods.mask.shape import grown


@stage("narrow", "window", default=True, paper="arXiv:2210.12965")
def narrow(
    image: Image, window: Window, *, grow: Annotated[int, Range(0, 512, "pixels that were edited")] = 2
) -> Window:
    """Go on with what the edit changed in place of all that the window was cropped round.

    Choose it behind `blend pixel`, before a window is enlarged and denoised again: a mask is often a loose box, and
    what of it is photograph still would be drawn anew at each size.  `surround`, `mask window` and `paste` keep that.

    grow: how far beyond the change it reaches, so that its edge is denoised with it.
    """
    if image.size != window.image.size:
        raise ValueError(f"the window shows {list(window.image.size)} pixels, and is narrowed by {list(image.size)}")
    changed = (image.data != window.image.data).any(0).to(image.data)  # [h, w]
    spread = resized(grown(changed, grow) if grow else changed, *window.box.size, linear=True)
    return replace(window, mask=Mask(window.mask.data * (spread > 0).to(window.mask.data)))
