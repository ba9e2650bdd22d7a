"""Draws by how well the denoiser itself explains them under the target prompt.

Li et al. 2023, arXiv:2303.16203, sec. 3: the bound on the likelihood of a picture under a text, which there chooses
among texts, and here among pictures.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Candidates,
    Codec,
    Denoiser,
    Image,
    Need,
    NoiseSource,
    Notices,
    Range,
    Schedule,
    TargetPrompt,
    gather,
    stage,
)
from retouch_methods.picture.codec import encoded
from retouch_methods.rank.kept import kept


@stage(
    "rank",
    "denoiser",
    paper="arXiv:2303.16203",
    rows="draws * looks",
    needs=(Need("keep <= draws", "keeps draw {keep} of {draws}", "write keep={draws}, or draw (…) seeds={keep}"),),
)
async def denoiser(
    candidates: Candidates,
    target: TargetPrompt,
    model: Denoiser,
    schedule: Schedule,
    codec: Codec,
    noise: NoiseSource,
    notices: Notices,
    *,
    keep: Annotated[int, Range(1, 256, "place")] = 1,
    looks: Annotated[int, Range(1, 1000, "levels")] = 8,
) -> Image:
    """Keep the draw whose noise the denoiser finds best under the target prompt: the likeliest picture of it.

    Choose it where what is added has its place, such as a hat: an image-text model sees that it is there, the denoiser
    also that it sits.  Needs no other model.  All draws are noised alike: their scores differ by what they show alone.

    keep: 1 is the likeliest, 2 the one after it; a list, as keep=[1, 2, 3], keeps several, each a result of its own.
    looks: at how many noise levels each draw is looked at, evenly over the schedule, one row each.
    """
    levels = [schedule.at((i + 0.5) / looks) for i in range(looks)]
    latents = await encoded((each.image for each in candidates.made), codec)
    draws = noise.normal(looks, like=latents[0])  # [looks, C, h, w]

    async def missed(x: Tensor, i: int) -> Tensor:
        """Of one draw at one level, the mean square of noise that is not found.  []"""
        pred = await model(levels[i].mix(x, draws[i]), levels[i], target)
        return (pred.eps - draws[i]).square().mean()

    async def score(x: Tensor) -> float:
        return float(torch.stack(await gather(missed(x, i) for i in range(looks))).mean())

    scores = await gather(score(x) for x in latents)
    return kept(candidates, scores, keep, "of its noise is missed", notices)
