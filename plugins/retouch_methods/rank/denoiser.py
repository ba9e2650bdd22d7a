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
    NegativePrompt,
    NoiseSource,
    Notices,
    Prompt,
    Range,
    Schedule,
    TargetPrompt,
    gather,
    on_host,
    stage,
)
from retouch_methods.picture.codec import encoded
from retouch_methods.rank.kept import AS_MANY, kept


@stage(
    "rank",
    "denoiser",
    paper="arXiv:2303.16203",
    rows="draws * looks * (2 if contrast else 1)",
    needs=(AS_MANY,),
)
async def denoiser(
    candidates: Candidates,
    target: TargetPrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    codec: Codec,
    noise: NoiseSource,
    notices: Notices,
    *,
    keep: Annotated[int, Range(1, 256, "place")] = 1,
    looks: Annotated[int, Range(1, 1000, "levels")] = 8,
    contrast: Annotated[float, Range(0, 30)] = 0.0,
) -> Image:
    """Keep the draw whose noise the denoiser finds best under the target prompt: the likeliest picture of it.

    Choose it where what is added has its place, such as a hat: an image-text model sees that it is there, the denoiser
    also that it sits.  Needs no other model.  All draws are noised alike: their scores differ by what they show alone.

    keep: 1 is the likeliest, 2 the one after it; a list, as keep=[1, 2, 3], keeps several, each a result of its own.
    looks: at how many noise levels each draw is looked at, evenly over the schedule, one row each.
    contrast: how much what the prompt explains better than the negative prompt does counts beside that: a score is
        target + contrast (target - negative), at twice the rows, that of what a walk under a guidance of 1 + contrast
        draws from.  0 asks for the likeliest picture that fits; some 2, for one that shows all that was asked for.
    """
    levels = [schedule.at((i + 0.5) / looks) for i in range(looks)]
    latents = await encoded((each.image for each in candidates.made), codec)
    draws = noise.normal(looks, like=latents[0])  # [looks, C, h, w]

    said = [(target, 1 + contrast), *([(negative, -contrast)] if contrast else [])]

    async def missed(x: Tensor, i: int, prompt: Prompt) -> Tensor:
        """Of one draw at one level, the mean square of noise that is not found.  []"""
        pred = await model(levels[i].mix(x, draws[i]), levels[i], prompt)
        return (pred.eps - draws[i]).square().mean()

    async def score(x: Tensor) -> float:
        found = await gather(missed(x, i, prompt) for prompt, _ in said for i in range(looks))
        means = torch.stack(found).reshape(len(said), looks).mean(1)
        return float(
            await on_host(torch.stack([share * mean for (_, share), mean in zip(said, means, strict=True)]).sum())
        )

    scores = await gather(score(x) for x in latents)
    what = f"by {1 + contrast:g} × what the prompt misses − {contrast:g} × what the negative one does"
    return kept(candidates, scores, keep, what if contrast else "of its noise is missed", notices)
