"""The inversion certificate: what an inversion gives back where nothing is to change, and what its noise is like.

The replay is what `sample` makes of the trajectory with the source prompt, under the turn's own guidance and with no
blend: what an edit does to everything that its words do not speak of.  A source row that is put back onto recorded
latents at every step plays no part in it.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Codec,
    Denoiser,
    Edit,
    Guidance,
    Latents,
    NegativePrompt,
    Range,
    Rule,
    SourcePrompt,
    Trajectory,
    Unmet,
    call,
    gather,
    on_host,
    stage,
)
from retouch_methods.sample.sample import sample

REPLAY = "int(steps * ((predictions if predictions else evaluations) * guide + beside) + 0.5)"
# The trajectory is the same.
PASSED_ON = {
    "steps": "steps",
    "evaluations": "evaluations",
    "beside": "beside",
    "pinned": "pinned",
    "replays": "replays",
}


@stage("require", "psnr", rows=REPLAY, facts=PASSED_ON)
async def psnr(
    trajectory: Trajectory,
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    guidance: Guidance,
    codec: Codec,
    solver: Rule | None = None,
    *,
    min_: Annotated[float, Range(0, 120, "dB")] = 30.0,
) -> Trajectory:
    """Go on only if the replay looks like the source: 20 dB is a likeness, 30 dB is close, 40 dB hard to tell apart.

    The source is taken as the codec gives it back, so that what the codec loses is not held against the inversion.

    min_: peak signal-to-noise ratio over the picture's pixels, in dB.
    """
    again = await replayed(trajectory, latents, Edit(prompt, prompt, negative), model, guidance, solver)
    one, two = await gather(call(codec.decode, each.data) for each in (latents, again))
    canvas = latents.canvas  # what lies beyond was only put there to fill cells
    missed = (one.clamp(0, 1) - two.clamp(0, 1))[:, : canvas.height, : canvas.width].double()  # [3, H, W]
    measured = float(await on_host(-10 * missed.square().mean().log10()))  # infinite if they are equal
    if not measured >= min_:
        raise Unmet("psnr", f"{measured:.1f} dB", f"{min_:g} dB or more")
    return trajectory.certified("psnr", f"{measured:.1f} dB")


@stage("require", "cycle", rows=REPLAY, facts=PASSED_ON)
async def cycle(
    trajectory: Trajectory,
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    guidance: Guidance,
    solver: Rule | None = None,
    *,
    max_: Annotated[float, Range(0, 10)] = 0.1,
) -> Trajectory:
    """Go on only if the walk to noise and back ends where it began.

    max_: how far the replayed latents are from the source's, as a fraction of their own size; 0 is exact.
    """
    again = await replayed(trajectory, latents, Edit(prompt, prompt, negative), model, guidance, solver)
    measured = float(await on_host((again.data - latents.data).norm() / latents.data.norm()))
    if not measured <= max_:
        raise Unmet("cycle", f"{measured:.3g}", f"{max_:g} or less")
    return trajectory.certified("cycle", f"{measured:.3g}")


@stage("require", "gaussian", facts=PASSED_ON)
async def gaussian(
    trajectory: Trajectory, latents: Latents, *, max_: Annotated[float, Range(0, 10)] = 0.1
) -> Trajectory:
    """Go on only if the walk ends in noise that the model could have drawn: where it does not, edits keep ghosts.

    max_: squared distance of the noise from white N(0, 1), in its variances; 0 is white, 1 as far as no noise at all.
    """
    measured = float(await on_host(whiteness_error(noise_in(trajectory, latents))))
    if not measured <= max_:
        raise Unmet("gaussian", f"{measured:.3g}", f"{max_:g} or less")
    return trajectory.certified("gaussian", f"{measured:.3g}")


async def replayed(
    trajectory: Trajectory,
    latents: Latents,
    nothing: Edit,
    model: Denoiser,
    guidance: Guidance,
    solver: Rule | None = None,
) -> Latents:
    """What comes back where nothing is to change."""
    return await sample(trajectory, latents, nothing, model, guidance, solver=solver)


def noise_in(trajectory: Trajectory, latents: Latents) -> Tensor:
    """The noise that the noisy end of a walk adds to the source.  [C, h, w]"""
    if not len(trajectory.schedule):
        return torch.zeros_like(latents.data)
    level = trajectory.schedule.levels[0]
    return (trajectory.states[0, 0].to(latents.data) - level.alpha * latents.data) / level.sigma


def whiteness_error(noise: Tensor) -> Tensor:  # []
    """How far noise [C, h, w] is from white N(0, 1): as single values, and as neighbours.

    Of the values, the squared Wasserstein-2 distance to N(0, 1), which sees mean, variance and tails; of neighbours,
    the squared correlations at one cell down and across, which see a picture's shapes.
    """
    # [C h w] each: what sorted draws are expected to be, and how far these are from that.
    ranks = (torch.arange(noise.numel(), device=noise.device, dtype=torch.float64) + 0.5) / noise.numel()
    values = noise.double().flatten().sort().values - torch.special.ndtri(ranks)
    shifts = (noise.double().roll(1, axis) for axis in (-2, -1))
    return values.square().mean() + torch.stack([(noise * shifted).mean() ** 2 for shifted in shifts]).sum()
