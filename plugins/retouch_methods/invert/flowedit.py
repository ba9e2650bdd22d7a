"""FlowEdit: from the picture to the edit, no noise between.  Kulikov et al. 2024, arXiv:2412.08629, alg. 1.

The paper's, on flow: x_src is noised to z_src = (1 - t) x_src + t n, the edit's own latent is z_tar = z + z_src -
x_src, and the edit z moves by (t' - t) (v(z_tar, target) - v(z_src, source)) from t to t' < t.

Its form for every model: with x = alpha x0 + sigma eps, the probability-flow ODE is dx = x0(x) d alpha + eps(x) d
sigma, where x0(x) and eps(x) are what the network predicts.  Let the offset z - x_src follow the difference of two such
ODEs, that of the target at z_tar and that of the source at z_src.  An Euler step from (alpha, sigma) to (alpha',
sigma') moves z by (alpha' - alpha) (x0_tar - x0_src) + (sigma' - sigma) (eps_tar - eps_src).  As z - x_src is z_tar -
z_src, and both of these are alpha x0 + sigma eps of what is predicted there, z ends at

    z' = x_src + (alpha' x0_tar + sigma' eps_tar) - (alpha' x0_src + sigma' eps_src),

the difference of two DDIM steps.  In coordinates x / alpha it is Euler's step of dy = eps d(sigma / alpha), so it is as
exact as DDIM.  On flow alpha' - alpha is sigma - sigma', and the move is (sigma' - sigma) times the difference of eps -
x0, which is the velocity: the published step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Asking,
    Denoiser,
    Latents,
    Level,
    Moot,
    NegativePrompt,
    NoiseSource,
    Predict,
    Prediction,
    Prompt,
    Range,
    Schedule,
    SourcePrompt,
    Step,
    Trajectory,
    gather,
    predictor,
    stage,
)
from retouch_methods.guide.distilled import guided


@dataclass(frozen=True, slots=True, eq=False)
class TwoOdes:
    """A step by which the target's ODE moves more than the source's, from one noise for both.

    The state is the edit itself, [1, C, h, w], not a noisy latent; the source stays where it is.

    picture: Tensor  # [C, h, w]
    noises: Tensor  # [N, average, C, h, w]
    source: what the network says of the noised picture under the source prompt
    plain: index of the first step that samples as usual, from the edit noised as the picture is
    """

    picture: Tensor
    noises: Tensor
    source: Predict
    plain: int

    def begin(self, x: Tensor) -> Tensor:
        """The edit.  [C, h, w] -> [1, C, h, w]"""
        return x[None]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        noised = [step.noisy.mix(self.picture, noise) for noise in self.noises[step.index]]  # [C, h, w] each
        if step.index >= self.plain:
            x = noised[0] + (state[0] - self.picture) if step.index == self.plain else state[0]
            return _led(step, await predict(x, step.noisy))[None]
        asked = [predict(x + (state[0] - self.picture), step.noisy) for x in noised]  # x itself while nothing moved
        said = await gather([*asked, *(self.source(x, step.noisy) for x in noised)])
        led = torch.stack([_led(step, pred) for pred in said]).unflatten(0, (2, len(noised)))
        target, source = led.mean(1)  # [C, h, w] each
        return self.picture + (target - source)[None]


def _led(step: Step, pred: Prediction) -> Tensor:
    """Where a prediction at the noisy end of a step leads.  [C, h, w]"""
    return step.mean(pred.x0, pred.eps)


@stage(
    "invert",
    "flowedit",
    moot=(Moot("source_guidance", "until == 0", "'until' says that all steps sample as usual"),),
    paper="arXiv:2412.08629",
    facts={
        "steps": "int(steps * strength + 1e-9)",
        "evaluations": "1 + (average - 1) * ceil(int(steps * strength + 1e-9) * until - 1e-9) / "
        "max(1, int(steps * strength + 1e-9))",
        "beside": "average * (1 if source_guidance == 1 or distilled else 2) * "
        "ceil(int(steps * strength + 1e-9) * until - 1e-9) / max(1, int(steps * strength + 1e-9))",
        "pinned": True,
    },
)
async def flowedit(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    source_guidance: Annotated[float, Range(0, 100)] = 1.5,
    strength: Annotated[float, Range(0, 1)] = 0.86,
    average: Annotated[int, Range(1, 64, "draws")] = 1,
    until: Annotated[float, Range(0, 1)] = 1.0,
) -> Trajectory:
    """Carry the picture over by the difference of what the network says under the two prompts; nothing is inverted.

    Choose it on models of few steps or strong distillation, whose walks up miss, and wherever the layout is to stay:
    both prompts see the same noise, so what they agree on does not move.  What changes is what they disagree on, so the
    source prompt has to describe the picture.  Other seeds give other edits.

    source_guidance: guidance of the source's prediction; the turn's `guidance` is the target's.  The paper has 1.5 and
        5.5 on FLUX, 3.5 and 13.5 on Stable Diffusion 3; where both are equal and nothing is to change, nothing does.
    strength: the noise at which the edit begins, as a fraction of the schedule: n_max of the paper's steps, 24 of 28 on
        FLUX, 33 of 50 on Stable Diffusion 3.  Less keeps more of the picture.
    average: draws of noise over which each step's difference is averaged; more are steadier and cost as much more.
    until: fraction of the steps that are taken after which the rest, n_min of them, samples as usual, so that fine
        texture is the target's own; 1 is none, as the authors' settings have it.
    """
    walk, x = schedule.tail(strength), latents.data
    noises = noise.normal(len(walk) * average, like=x).unflatten(0, (len(walk), average))
    source = predictor(guided(model, source_guidance), _aside(model), prompt, negative)
    plain = next((step.index for step in walk if step.progress >= until), len(walk))
    return Trajectory(walk, x.expand(len(walk) + 1, 1, *x.shape), TwoOdes(x, noises, source, plain), pinned=True)


def _aside(model: Asking) -> Asking:
    """The model, in rows of roles of their own: of the edit's rows alone controls and recordings are meant to know."""

    async def answer(
        x: Tensor,
        level: Level,
        prompt: Prompt,
        *,
        timestep: float | None = None,
        role: str = "cond",
        told: Mapping[str, float] | None = None,
    ) -> Prediction:
        return await model(x, level, prompt, timestep=timestep, role=f"beside {role}", told=told)

    return answer
