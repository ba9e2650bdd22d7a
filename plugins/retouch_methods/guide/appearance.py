"""Guidance by what a picture shows as a whole: towards that of a style picture, and away from what it was.

Kwon and Ye 2023 (DiffuseIT), arXiv:2209.15264, eq. 9 and 10, after Tumanyan et al. 2022, arXiv:2201.00424.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Codec,
    Guidance,
    Loss,
    Moot,
    Need,
    Pictures,
    Predicted,
    Range,
    VisionTokens,
    bilinear,
    gather,
    stage,
    with_loss,
)


@stage(
    "guide",
    "appearance",
    paper="arXiv:2209.15264",
    facts={
        "guide": "guide",
        "gradient": "2 if through == 'network' else 1",
        "seen": "eyes",
        "idle": "towards == 0 and colours == 0 and away == 0",
    },
    needs=(
        Need(
            "not layers or (layer * eyes >= -layers and layer * eyes < layers)",
            "asks for layer {layer} of an eye that has {int(layers / eyes)}",
            "count from 0, or back from the last as -1",
        ),
        Need("path or away", "leads nowhere", 'name a style picture, path="style.png", or give away=100'),
        Need("not away or until", "leads away during none of the steps", "write away=0, or a greater 'until'"),
    ),
    moot=(
        Moot("towards", "not path", "there is no style picture"),
        Moot("colours", "not path", "there is no style picture"),
        Moot("until", "not away", "'away' says that it leads away from nothing"),
    ),
)
async def appearance(
    guidance: Guidance,
    codec: Codec,
    pictures: Pictures,
    eyes: tuple[VisionTokens, ...],
    *,
    path: str | None = None,
    towards: Annotated[float, Range(0, 1_000_000)] = 2000.0,
    colours: Annotated[float, Range(0, 1_000_000)] = 0.0,
    away: Annotated[float, Range(0, 1_000_000)] = 0.0,
    until: Annotated[float, Range(0, 1)] = 0.15,
    layer: Annotated[int, Range(-1000, 1000, "layers")] = -1,
    look: Literal["mixed", "predicted"] = "mixed",
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step towards what a style picture shows, or away from what the step before showed.

    Choose it with `guide structure`, which keeps the layout meanwhile; what it knows of the style has no places. The
    last step draws next to no noise and is led by as little, so a walk of one step stays nearly as it was.

    path: the style picture, of any size; fields such as {name} stand for the source's name.
    towards: how much it counts that the class token is not the style's (mean square).
    colours: how much it counts that each place has not the style's colour at that place (mean square, colours from -1
        to 1); 0 leaves places alone.
    away: how much it counts that the class token is still that of the step before (less the mean square): the picture
        leaves its source the faster.
    until: the fraction of the steps in which it leads away, which has to hold the second of them.
    layer: which layer's class token, counted from 0, or from the last as -1.
    look: "mixed" shows the prediction mixed with the noisy picture, as the paper has it; "predicted" it alone.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    style = pictures.image(path, 0).data if path else None  # [3, H, W]
    wanted = [] if style is None else await gather(eye.picture(style, layer) for eye in eyes)

    async def miss(seen: Predicted) -> Tensor:
        now = await seen.picture(look)  # [3, H, W]
        found = [token for token, _ in await gather(eye.picture(now, layer) for eye in eyes)]  # [d] each
        missed = now.new_zeros(())
        if style is not None:
            missed = towards * _apart(found, [token for token, _ in wanted])
            if colours:
                # The style picture is drawn out or pressed to the size of what is seen, so that places have partners.
                pressed = bilinear(style[None], (now.shape[-2], now.shape[-1]), antialias=True)[0]  # [3, H, W]
                missed = missed + colours * 4 * F.mse_loss(now, pressed)
        if away and seen.level.progress < until:
            if before := seen.memory.get("tokens"):
                missed = missed - away * _apart(found, before)
            seen.memory["tokens"] = [token.detach() for token in found]
        return missed

    return with_loss(guidance, Loss(miss, 1.0, through), codec)


def _apart(found: list[Tensor], others: list[Tensor]) -> Tensor:
    """The mean square of the difference, over all eyes.  [d] each -> []"""
    return torch.stack([F.mse_loss(one, other) for one, other in zip(found, others, strict=True)]).mean()
