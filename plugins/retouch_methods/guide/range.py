"""Guidance into the range of colours, and the walk begun again where it leaves that for good.

Kwon and Ye 2023 (DiffuseIT), arXiv:2209.15264, sec. 3.2; the loss is that of CLIP-guided diffusion.
"""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor

from retouch.api import Codec, Guidance, Loss, Moot, Predicted, Range, Restart, on_host, stage, with_loss


@stage(
    "guide",
    "range",
    paper="arXiv:2209.15264",
    facts={
        "guide": "guide",
        "gradient": "2 if through == 'network' else 1",
        "attempts": "attempts",
        "idle": "weight == 0",
    },
    moot=(Moot("above", "attempts < 2", "'attempts' lets no walk begin again"),),
)
def within(
    guidance: Guidance,
    codec: Codec,
    *,
    weight: Annotated[float, Range(0, 1_000_000)] = 50.0,
    attempts: Annotated[int, Range(1, 100, "walks")] = 1,
    above: Annotated[float, Range(0, 1_000_000)] = 0.01,
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step away from colours brighter than white or darker than black, which strong losses ask for.

    Choose it beside any loss of a great weight. The last step draws next to no noise and is led by as little, so a
    walk of one step stays nearly as it was.

    weight: how much the mean square of what lies outside the range counts, in colours from -1 to 1.
    attempts: how many walks there are at most: where the weighted loss goes over `above`, the walk begins again with
        other noise; the last one goes to its end.  It takes `invert sdedit` or `solver ddpm`, which draw noise.
    above: what the weighted loss may come to at any step but the first.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """

    async def miss(seen: Predicted) -> Tensor:
        missed = outside(await seen.picture("predicted"))
        may_begin_again = seen.attempt + 1 < attempts and seen.level.progress > 0
        if may_begin_again and weight * float(await on_host(missed)) > above:
            raise Restart
        return missed

    return with_loss(guidance, Loss(miss, weight, through), codec)


def outside(picture: Tensor) -> Tensor:
    """The mean square of what leaves the range, in colours from -1 to 1.  [3, H, W], [0, 1] is inside -> []"""
    return (2 * (picture - picture.clamp(0, 1))).square().mean()
