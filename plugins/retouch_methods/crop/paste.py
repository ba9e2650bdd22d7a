"""A window back into its picture."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Image, Mask, Range, Window, resized, stage
from retouch_methods.crop.window import seen_at
from retouch_methods.mask.shape import depth, grown

CLOSED = 2  # pixels of the window: what is alike in narrower places is so by chance, inside of what was edited


@stage("paste", "window", default=True, facts={"parts": 1})
def paste(
    image: Image,
    window: Window,
    *,
    inside: Literal["mask", "window"] = "mask",
    feather: Annotated[int, Range(0, 512, "pixels that were edited")] = 2,
) -> Image:
    """Put the window back into the picture that `crop` took it from: outside the mask not one byte changes.

    What the edit left as it was keeps the picture's own pixels too, so that a window that was made smaller does not
    come back blurred; `blend pixel` before it leaves everything outside of a finer mask so.  What `upscale` made larger
    comes back at the picture's own size.

    inside: "mask" is the one that the window was cropped round, "window" all of it.
    feather: how far inside the edge the edit fades in, in pixels of the size that was edited; 0 is a hard edge.
    """
    if image.size != window.image.size:  # it was enlarged on the way
        window = seen_at(window, image)
    box, whole = window.box, window.whole
    area = window.mask.data if inside == "mask" else torch.ones_like(window.mask.data)
    share = area * _faded(area, window, feather) if feather else area
    part = whole.part(box).data
    share = (share * _enlarged(_changed(image, window), window)).to(part)
    made = part.clone().lerp_(resized(image.data, *box.size), share)  # a share of 0 keeps every bit
    return whole.patched(box, made)


def _changed(image: Image, window: Window) -> Tensor:
    """Where the picture is no longer what was cropped, 1 or 0.  [h, w]"""
    changed = (image.data != window.image.data).any(0).to(image.data)
    return 1 - grown(1 - grown(changed, CLOSED), CLOSED)


def _faded(area: Tensor, window: Window, feather: int) -> Tensor:
    """How deep inside the mask a pixel of the box lies; the picture's own edge is none.  [height, width]"""
    box, (height, width) = window.box, window.whole.size
    sides = (box.left > 0, box.right < width, box.top > 0, box.bottom < height)
    around = [feather * side for side in sides]
    cells = F.pad(Mask(area).resized(*window.image.size).data, around)
    deep = depth(cells, feather)
    tall, wide = window.image.size
    return _enlarged(deep[around[2] : around[2] + tall, around[0] : around[0] + wide], window)


def _enlarged(cells: Tensor, window: Window) -> Tensor:
    """Numbers for pixels that were edited, as numbers for those of the box.  [h, w] -> [height, width]"""
    return resized(cells, *window.box.size, linear=True)
