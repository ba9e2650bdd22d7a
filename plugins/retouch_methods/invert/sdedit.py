"""SDEdit: noise instead of an inversion.  Meng et al. 2021, arXiv:2108.01073, alg. 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import Ddim, Latents, NoiseSource, Offset, Range, Schedule, Trajectory, stage


@stage(
    "invert",
    "sdedit",
    paper="arXiv:2108.01073",
    facts={
        "steps": "int(steps * strength + 1e-9)",
        "evaluations": 1,
        "pinned": True,
        "replays": "'any' if eta == 0 else ''",
        "redraws": True,
    },
)
async def sdedit(
    latents: Latents,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    strength: Annotated[float, Range(0, 1)] = 0.6,
    eta: Annotated[float, Range(0, 1)] = 0.0,
    draws: Literal["one", "each"] = "one",
    begin: Literal["noised", "noise"] = "noised",
) -> Trajectory:
    """Add noise to the picture, and let the edit take it away again; no network is asked before that.

    Choose it for a new picture on the old one's large shapes and colours, or under a mask that keeps all the rest:
    nothing inside the edit comes back by itself, and other seeds give other pictures.

    strength: how much noise, as a fraction of the schedule; 0 is the picture, 1 forgets it.
    eta: how much new noise each step of the edit adds; 1 is the paper's stochastic sampler, 0 that of most code.
    draws: "one" noises the source at all levels by one draw, so that a blend keeps one background; "each" draws anew
        for every level, as the code of Blended Latent Diffusion does.
    begin: "noised" begins the edit at the noised source; "noise" at noise alone, whatever the strength, so that under a
        mask nothing of the old thing is left, as that code begins (with strength=76% and `blend latent
        level="one_late"` it is that code).
    """
    walk = schedule.tail(strength)
    return _noised(latents.data, walk, noise, eta, draws, begin)


def _noised(x0: Tensor, walk: Schedule, noise: NoiseSource, eta: float, draws: str, begin: str) -> Trajectory:
    """The source at each level of a walk, by this noise.  x0: [C, h, w]"""
    # N draws that noise the source, N for the edit's steps, and one to begin with: [2 N + 1, C, h, w].
    drawn = noise.normal(2 * len(walk) + (begin == "noise"), like=x0)
    levels = drawn[: len(walk)] if draws == "each" else drawn[:1].expand(len(walk), *x0.shape)
    noised = [step.noisy.mix(x0, draw) for step, draw in zip(walk, levels, strict=True)]
    added = [step.fresh(eta) * draw for step, draw in zip(walk, drawn[len(walk) : 2 * len(walk), None], strict=True)]
    rule = Offset(Ddim(eta), torch.stack(added)) if eta and added else Ddim()
    start = drawn[-1:] if begin == "noise" and added else None  # [1, C, h, w]

    def again(attempt: int) -> Trajectory:
        return _noised(x0, walk, replace(noise, key=f"{noise.key}/again{attempt}"), eta, draws, begin)

    return Trajectory(walk, torch.stack([*noised, x0])[:, None], rule, pinned=True, start=start, again=again)
