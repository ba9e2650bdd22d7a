"""Direct Inversion, optimisation-free.  Elarabawy et al. 2022, arXiv:2211.07825."""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from retouch.api import (
    Ddim,
    Denoiser,
    Injected,
    Latents,
    Moot,
    NegativePrompt,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    stage,
)


@stage(
    "invert",
    "direct",
    paper="arXiv:2211.07825",
    moot=(
        Moot("share", "injected == 0", "'injected' says that no step is pulled"),
        Moot("noise", "injected == 0", "'injected' says that no step is pulled"),
    ),
    rows="steps",
    facts={
        "evaluations": 1,
        "pinned": True,
        "replays": "'any'",
        # On flow a walk begins at pure noise, where only the prediction speaks of the picture.
        "unheard": "share == 1 and injected >= steps and (trained or noise == 'step')",
    },
)
async def direct(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    share: Annotated[float, Range(0, 1)] = 0.5,
    injected: Annotated[int, Range(0, 1000, "steps")] = 5,
    noise: Literal["end", "step"] = "end",
    words: Literal["none", "source"] = "none",
    grid: Literal["even", "official"] = "even",
) -> Trajectory:
    """Walk up the ODE without words, and pull the edit's first steps towards the noise that was found there.

    Choose it where there is no caption and the edit is to be a light one: the pull keeps the layout, and holds back
    the edit with it.  It is asked at (x_s, s), so it misses more than DDIM's usual convention at few steps.

    share: how far the predicted noise is pulled; 0 is plain sampling, 1 replaces it.
    injected: how many of the steps that are taken, from the first, are pulled.
    noise: "end" pulls towards the latent where the walk ended, taken for noise, as the authors' code does by default;
        "step" towards what was seen at the same step on the way up, as it does on demand.
    words: what the walk up is told: "none" the negative prompt, which is empty unless given, "source" the caption.
    grid: "even" takes the levels of sampling; "official" takes the picture for a latent of the first noisy level and
        leaves out the last step up, as the authors' code does.
    """
    told = prompt if words == "source" else negative
    x, path, seen = latents.data, [latents.data], []  # [C, h, w], also of the latents and noises in the lists
    for step in schedule.ascending():
        here, there = (step.clean, step.noisy) if grid == "even" else (step.noisy, step.before or step.noisy)
        pred = await model(x, here, told)
        moved = there.mix(pred.x0, pred.eps)  # [C, h, w]
        path.append(moved if grid == "even" else x)
        seen.append(here.said(pred))
        x = moved
    pull = torch.stack(seen[::-1]) if noise == "step" else x.expand(len(schedule), *x.shape)
    return Trajectory(
        schedule, torch.stack(path[::-1])[:, None], Injected(Ddim(), pull, share, injected, noise == "end"), None
    )
