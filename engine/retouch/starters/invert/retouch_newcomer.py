"""An inversion: one draw of noise at every level, and a record of what each step then misses."""

from typing import Annotated

import torch

from retouch.api import (
    Ddim,
    Denoiser,
    Guidance,
    Latents,
    NegativePrompt,
    NoiseSource,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    hold,
    hookimpl,
    predictor,
    stage,
)


@stage(
    "invert",
    "newcomer",
    rows="guide * int(steps * strength + 1e-9)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 1, "pinned": True},
)
async def newcomer(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    noise: NoiseSource,
    *,
    strength: Annotated[float, Range(0, 1)] = 1.0,
) -> Trajectory:
    """Noise the picture to every level by one draw, and hold the sampler to those states.

    strength: how much noise, as a fraction of the schedule; 0 is the picture itself.
    """
    walk, x0 = schedule.tail(strength), latents.data  # [C, h, w]
    (draw,) = noise.normal(1, x0)
    rule = Ddim()
    states = torch.stack([rule.begin(x) for x in (*(step.noisy.mix(x0, draw) for step in walk), x0)])
    held = await hold(rule, states, walk, predictor(guidance, model, prompt, negative))
    return Trajectory(walk, states, held, pinned=True)  # states: [N + 1, 1, C, h, w], noisiest first


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
