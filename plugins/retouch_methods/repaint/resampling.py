"""Resampling: back up in noise, and down again.  Lugmayr et al. 2022, "RePaint", arXiv:2201.09865, alg. 1."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import Image, Mask, Need, Range, Turn, on_host, stage


@stage(
    "repaint",
    "resampling",
    default=True,
    paper="arXiv:2201.09865",
    rows="(0 if mask else turn * times, turn * times)",
    needs=(
        Need(
            "turn_resizes == 0",
            "is given a flow that gives its pictures back at another size",
            "resize outside of the brackets, or edit a window at a size of its own: (mask … | crop size=… | … | paste)",
        ),
    ),
)
async def resampling(
    image: Image, turn: Turn, mask: Mask | None = None, *, times: Annotated[int, Range(1, 100, "rounds")] = 3
) -> Image:
    """Send the picture through a flow again and again, with other noise each time, its surroundings put back.

    Choose it behind an edit under a mask whose seam shows.  With `invert sdedit` in the flow each round goes up in
    noise to its strength and down again, the paper's jump; the paper jumps from every level that it reaches, this
    from the picture alone.  The surroundings are the picture's own, bytes and all, however many rounds there are.

    times: how many rounds.
    """
    area = None if mask is None else mask.pixels(*image.size).to(image.data)
    if area is not None and not bool(await on_host(area.any())):
        return image
    now = image
    for i in range(times):
        part = None if area is None else Mask(area)
        data = (await turn(now, source=image, mask=part, key=f"round{i}")).image.data
        if area is not None:
            data = torch.where(area > 0, torch.lerp(image.data, data, area), image.data)
        now = Image(data, image.alpha)
    return now
