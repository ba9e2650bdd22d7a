"""The mask of a window, cut down to what an edit changed.  Ackermann and Li 2022, arXiv:2210.12965, section 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from retouch.api import Image, Mask, Notices, Range, Window, on_host, resized, stage
from retouch_methods.crop.window import seen_at
from retouch_methods.mask.shape import grown

FINE = 1  # pixels that were edited: what is not wider than two of them is an edge that came back softer


@stage("narrow", "window", default=True, paper="arXiv:2210.12965")
async def narrow(
    image: Image,
    window: Window,
    notices: Notices,
    mask: Mask | None = None,
    *,
    tolerance: Annotated[float, Range(0, 1)] = 0.0,
    grow: Annotated[int, Range(0, 512, "pixels that were edited")] = 2,
) -> Window:
    """Go on with what the edit changed in place of all that the window was cropped round.

    Choose it before a window is enlarged and denoised again, or put back: a mask is often a loose box, and of what it
    holds besides the thing every decoder makes other colours, in which the box shows.  `surround`, `mask window` and
    `paste` keep that as it was photographed.  Where the turn has a finer mask, or `mask=` names one, what the edit did
    outside of it counts for nothing, so that no `blend pixel` is needed for that.  Behind each step that enlarges the
    edit and denoises it, it keeps the mask close to the thing, and what decoders tint out of it.

    tolerance: the most by which red, green or blue may differ from the photograph's and still count as the same, as a
        fraction of their range; 0 takes every difference for a change.  Take some 6 % for a thing that is drawn anew,
        none for an edit as soft as that.
    grow: how far beyond the change it reaches, so that its edge is denoised with it.
    """
    photograph = window.image if image.size == window.image.size else seen_at(window, image).image
    changed = ((image.data - photograph.data).abs().amax(0) > tolerance).to(image.data)  # [h, w]
    if mask is not None:
        changed = changed * (mask.pixels(*image.size) > 0)
    if tolerance:
        changed = grown(1 - grown(1 - changed, FINE), FINE)
    if not await on_host(changed.any()):
        more = f" by more than {tolerance:.3g} of the range" if tolerance else ""
        where = "" if mask is None else " in the mask"
        notices.tell(f"nothing{where} differs from the photograph{more}, so nothing is edited from here on")
    spread = resized(grown(changed, grow) if grow else changed, *window.box.size, linear=True)
    return replace(window, mask=Mask(window.mask.data * (spread > 0).to(window.mask.data)))
