"""EDICT, exact inversion via coupled transformations.  Wallace et al. 2022, arXiv:2211.12446, eq. 12-15."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import (
    Denoiser,
    Edict,
    Guidance,
    Latents,
    Need,
    NegativePrompt,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    predictor,
    stage,
)

# Un-mixing multiplies rounding errors by 1 / mix each step: e**15 of it leaves nine digits of float64's sixteen.
FLOAT64_HOLDS = Need(
    "-log(mix) * int(steps * strength + 1e-9) <= 15",
    "uses up float64 in {int(steps * strength + 1e-9)} steps at mix={mix}",
    "write steps={int(15 / -log(mix) / strength)}, or a higher mix",
)


@stage(
    "invert",
    "edict",
    paper="arXiv:2211.12446",
    rows="2 * guide * int(steps * strength + 1e-9)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 2, "pinned": True},
    needs=(FLOAT64_HOLDS,),
)
async def edict(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    *,
    mix: Annotated[float, Range(0.85, 1)] = 0.93,
    strength: Annotated[float, Range(0, 1)] = 0.8,
) -> Trajectory:
    """Undo a sampler of two coupled latents, step by step and exactly, under the guidance of the edit itself.

    Choose it where the source must come back to the last bit under strong guidance and no mask can say where; it
    costs twice DDIM, and its latents are float64 because un-mixing multiplies rounding errors by 1 / mix each step.

    mix: how much each latent keeps of itself when the two are averaged; at 1 they are never drawn together and part
        ways, lower ones stay closer and allow fewer steps.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    """
    walk, rule = schedule.tail(strength), Edict(mix)
    predict = predictor(guidance, model, prompt, negative)
    states = [rule.begin(latents.data)]
    for step in walk.ascending():
        states.append(await rule.undo(states[-1], step, predict))
    return Trajectory(walk, torch.stack(states[::-1]), rule, pinned=True)
