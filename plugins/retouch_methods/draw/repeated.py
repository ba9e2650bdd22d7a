"""One turn several times, each under noise of its own.  Avrahami et al. 2022, arXiv:2111.14818, sec. 4.3."""

from __future__ import annotations

from typing import Annotated

from retouch.api import Candidates, Image, Mask, Range, Turn, Turned, gather, on_host, stage


@stage(
    "draw",
    "repeated",
    default=True,
    paper="arXiv:2111.14818",
    rows="(0 if mask else turn * seeds, turn * seeds)",
    facts={"draws": "seeds"},
)
async def repeated(
    image: Image, turn: Turn, mask: Mask | None = None, *, seeds: Annotated[int, Range(1, 256, "draws")] = 8
) -> Candidates:
    """Send the picture through a flow several times, with other noise each time, for `rank` to choose from.

    Choose it round what draws noise: `invert sdedit`, `solver ddpm`, `invert cycle_diffusion`.  All draws share their
    calls, and those of all other pictures.

    seeds: how many draws; each has noise of its own, which more draws do not change.
    """
    area = None if mask is None else Mask(mask.pixels(*image.size).to(image.data))
    if area is not None and not await on_host(area.data.any()):
        return Candidates((Turned(image, area),) * seeds, area)
    made = await gather(turn(image, mask=area, key=f"draw{i}") for i in range(seeds))
    return Candidates(tuple(made), area)
