"""An inversion whose every step is asked twice: where it leads is guessed, and asked again there."""

from typing import Annotated

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
    unguided,
)


@stage(
    "invert",
    "twice",
    rows="2 * int(steps * strength + 1e-9)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 1, "pinned": True, "replays": "'any'"},
)
async def twice(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    strength: Annotated[float, Range(0, 1)] = 1.0,
) -> Trajectory:
    """Walk up the ODE by what is seen at the noisy end of each step, as a first guess of it has it.

    strength: how far to walk, as a fraction of the schedule.
    """
    walk, predict = schedule.tail(strength), predictor(unguided, model, prompt, negative)
    path = [latents.data]
    for step in walk.ascending():
        guess = step.uncarry(path[-1], await predict(path[-1], step.noisy))
        path.append(step.uncarry(path[-1], await predict(guess, step.noisy)))
    return Trajectory(walk, torch.stack(path[::-1])[:, None], Ddim(), True)
