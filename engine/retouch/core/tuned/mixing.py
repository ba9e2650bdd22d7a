"""Several networks as one denoiser, whose predictions add up: how far each counts may change along the walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from retouch.core.awaited.requests import Ask, Group, Row
from retouch.core.denoiser import Denoiser
from retouch.core.schedule import Level, Prediction
from retouch.core.tuning import ModelDelta
from retouch.core.values import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class MixedDenoiser(Denoiser):
    """One network beside what there was before: ratio * this + (1 - ratio) * that, and that alone outside the window.

    With a base, that + ratio * (this - base): what was tuned adds up, where shares would take half of each away.

    Only networks that count are asked.  Rows of both have the same role, so controls act in each, and maps that are
    recorded are the mean of both.

    before: a denoiser, which may be a mix itself.
    start, until: shares of the walk's steps between which this network counts.
    base: the network as it was before anything tuned it.
    """

    before: Denoiser | None = None
    ratio: float = 1.0
    start: float = 0.0
    until: float = 1.0
    base: Denoiser | None = None

    def shares(self, level: Level) -> list[tuple[Denoiser, float]]:
        """Each network, and how much of the prediction at this level is its."""
        assert self.before
        inside = self.start <= level.progress < self.until or level.progress == self.until == 1
        ratio = self.ratio if inside else 0.0
        before = self.before.shares(level) if isinstance(self.before, MixedDenoiser) else [(self.before, 1.0)]
        kept = 1 - ratio if self.base is None else 1.0
        every = [*((each, kept * share) for each, share in before), (Denoiser(self.core, self.delta), ratio)]
        every += [(self.base, -ratio)] if self.base else []
        found: dict[int, tuple[Denoiser, float]] = {}
        for each, share in every:  # the same network twice is asked once
            found[each.identity] = (each, share + found.get(each.identity, (each, 0.0))[1])
        return [(each, share) for each, share in found.values() if share]

    def tuned(self, delta: ModelDelta) -> Denoiser:
        """The same mix, its newest network under other weights."""
        newest = self.delta.under(delta)
        return MixedDenoiser(self.core, newest, self.before, self.ratio, self.start, self.until, self.base)

    async def __call__(
        self,
        x: torch.Tensor,
        level: Level,
        prompt: Prompt,
        *,
        timestep: float | None = None,
        role: str = "cond",
        told: Mapping[str, float] | None = None,
    ) -> Prediction:
        """The sum of what those networks say that count here.  x: [C, h, w]"""
        shares, time = self.shares(level), level.timestep if timestep is None else timestep
        # In one Ask, though of several networks: whatever else waits may join each of their calls.
        rows = [Row(network, x, level, time, prompt, told or {}) for network, _ in shares]
        replies = await Ask([Group((row,), ((role,),)) for row in rows])
        said = [reply.predictions[0].pair for reply in replies]
        if len(said) == 1:
            return Prediction(said[0])
        return Prediction(torch.stack([share * pair for (_, share), pair in zip(shares, said, strict=True)]).sum(0))
