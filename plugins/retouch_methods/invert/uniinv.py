"""Uni-Inv: each step up by what is seen at a guess of where it leads.  Jiao et al. 2025, arXiv:2504.13109, alg. 1."""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from retouch.api import (
    Ddim,
    Denoiser,
    Latents,
    NegativePrompt,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    predictor,
    stage,
)
from retouch_methods.guide.distilled import guided
from retouch_methods.invert.ddim import PINNED


@stage(
    "invert",
    "uniinv",
    paper="arXiv:2504.13109",
    rows="(int(steps * strength + 1e-9) + (min(1, int(steps * strength + 1e-9)) if first == 'asked' else 0)) * "
    "(1 if source_guidance == 1 or distilled else 2)",
    facts={
        "steps": "int(steps * strength + 1e-9)",
        "evaluations": 1,
        "pinned": "pinned != 'never'",
        "replays": "'ddim'",
    },
)
async def uniinv(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    first: Literal["asked", "still"] = "asked",
    source_guidance: Annotated[float, Range(0, 100)] = 1.0,
    strength: Annotated[float, Range(0, 1)] = 1.0,
    pinned: Literal["auto", "always", "never"] = "auto",
) -> Trajectory:
    """Guess each noisier latent by the step before, ask there, and take that answer for the step.

    Choose it in place of `invert ddim`: one question a step as well, and the source comes back far nearer, on every
    model.  Its paper edits from a strength of 0.6 to 0.8, beside a guidance of its own that is not part of it.

    first: how the first step guesses, which has none before it: "asked" asks one row more at the picture, as the paper
        has it; "still" guesses that nothing moves, as the authors' code does on demand.
    source_guidance: guidance on the way up; 1 is none.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    pinned: whether the source is replayed from these latents, or sampled again and may drift.  "auto" replays it where
        only a blend reads it and samples it where a control sees it; "always" puts it back at every step, "never" lets
        it drift under a blend as well.
    """
    walk, predict = schedule.tail(strength), predictor(guided(model, source_guidance), model, prompt, negative)
    x, path, seen = latents.data, [latents.data], None
    for step in walk.ascending():
        if seen is None and first == "asked":
            seen = await predict(x, step.clean)
        # The answer before leads to a guess of the noisier latent; what is said there is what a step down from it would
        # go by, so it is taken from x itself, and the guess is dropped.
        seen = await predict(x if seen is None else step.uncarry(x, seen), step.noisy)
        x = step.uncarry(x, seen)
        path.append(x)
    return Trajectory(walk, torch.stack(path[::-1])[:, None], Ddim(), PINNED[pinned])
