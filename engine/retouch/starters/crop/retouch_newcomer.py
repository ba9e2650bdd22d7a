"""A window: the mask with a margin, which later stages see in place of the picture until `paste`."""

from typing import Annotated

from retouch.api import (
    Codec,
    Image,
    Mask,
    NothingMasked,
    Range,
    Rectangle,
    Window,
    hookimpl,
    on_host,
    resized,
    stage,
)


@stage("crop", "newcomer", facts={"height": "side", "width": "side", "about": 1, "parts": 1})
async def newcomer(
    image: Image,
    mask: Mask,
    codec: Codec,
    outer: Window | None = None,
    *,
    margin: Annotated[int, Range(0, 4096, "pixels")] = 16,
) -> Window:
    """Go on with the mask and a margin of the same width on each side, at the size that the model was trained on.

    margin: pixels of the picture round the mask; 0 is none.
    """
    area = mask.of_pixels(*image.size)
    if (held := area.bounded(await on_host(area.held))) is None:
        raise NothingMasked  # told with what to do
    height, width = image.size
    box = Rectangle(
        max(0, held.left - margin),
        max(0, held.top - margin),
        min(width, held.right + margin),
        min(height, held.bottom + margin),
    )
    tall, wide = (max(1, round(side * codec.side / max(box.size))) for side in box.size)
    part = image.part(box)  # of a large picture no more than that is read
    alpha = None if part.alpha is None else resized(part.alpha, tall, wide)
    return Window(image, box, Image(resized(part.data, tall, wide), alpha), Mask(area.part(box).clone()), outer)


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
