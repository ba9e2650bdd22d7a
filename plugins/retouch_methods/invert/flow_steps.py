"""What steps of second order along a flow share: a second velocity further along, and the walk up."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from retouch.api import Level, Predict, Schedule


class FlowRule(Protocol):
    """A rule that moves a state from any level of a flow to any other, so that the same step leads up and down."""

    def begin(self, x: Tensor) -> Tensor:
        """The state of a latent.  [C, h, w] -> [k, C, h, w]"""
        ...

    async def move(self, state: Tensor, here: Level, there: Level, predict: Predict, *, first: bool) -> Tensor:
        """The state [k, C, h, w] at another level.  first: whether the walk begins here."""
        ...


async def seen_ahead(x: Tensor, velocity: Tensor, here: Level, there: Level, share: float, predict: Predict) -> Tensor:
    """Return the velocity so far on the way to another level, where this one leads.  [C, h, w]"""
    sigma, timestep = (
        getattr(here, name) + share * (getattr(there, name) - getattr(here, name)) for name in ("sigma", "timestep")
    )
    # On the straight line of a flow a level between is told by its sigma; alpha is the rest.
    level = replace(here, timestep=timestep, alpha=1 - sigma, sigma=sigma)
    return (await predict(x + share * (there.sigma - here.sigma) * velocity, level)).velocity


async def walk_up(rule: FlowRule, walk: Schedule, x: Tensor, predict: Predict) -> Tensor:
    """Take a latent up a walk by a rule's own steps.  [C, h, w] -> [N + 1, k, C, h, w], noisiest first"""
    states = [rule.begin(x)]
    for step in walk.ascending():
        states.append(await rule.move(states[-1], step.clean, step.noisy, predict, first=len(states) == 1))
    return torch.stack(states[::-1])
