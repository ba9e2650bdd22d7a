"""An analytic model: data are a mixture of Gaussians, so score and inversion are exact, and errors the method's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor

from retouch.core.awaited.requests import Group, Reply, Row
from retouch.core.declared.touches import Site
from retouch.core.schedule import Level, Prediction
from retouch.core.values import AttentionMaps, Prompt


class GaussianMixture:
    """x0 ~ sum of softmax(prompt)_k N(means_k, spread**2): a Core without a network.

    means: Tensor  # [K, C, h, w]
    A prompt's embeds are logits over the components, [1, K].
    """

    def __init__(self, means: Tensor, spread: float = 0.5) -> None:
        self.means, self.spread = means, spread
        self.sites: tuple[Site, ...] = ()
        self.base: Mapping[str, Tensor] = {}
        self.forwards: list[int] = []

    def prompt(self, *, component: int | None = None) -> Prompt:
        """One component's prompt, or the unconditional one."""
        logits = torch.zeros(1, len(self.means), dtype=self.means.dtype, device=self.means.device)
        if component is not None:
            logits[0] = -1e4
            logits[0, component] = 0
        return Prompt("" if component is None else f"component {component}", logits)

    def kernels(self, group: Group) -> Hashable:
        """All groups are evaluated alike."""
        return None

    def forward(self, groups: Sequence[Group], bucket: int) -> list[Reply]:
        """Exact predictions; every row by itself, so a bucket changes nothing."""
        self.forwards.append(sum(len(group.rows) for group in groups))
        with torch.set_grad_enabled(groups[0].wants_grad):
            replies: list[Reply] = []
            for group in groups:
                no_maps = tuple(tuple(AttentionMaps() for _ in scope.record) for scope in group.scopes)
                replies.append(Reply(tuple(map(self._predict, group.rows)), no_maps))
            return replies

    def _predict(self, row: Row) -> Prediction:
        x, level = row.x, row.level
        means = self.means.to(x)
        variance = (level.alpha * self.spread) ** 2 + level.sigma**2
        away = x - level.alpha * means
        score = row.prompt.embeds[0].to(x) - away.square().flatten(1).sum(1) / (2 * variance)
        share = score.softmax(0)[:, None, None, None]
        x0 = (share * (means + level.alpha * self.spread**2 / variance * away)).sum(0)
        eps = level.sigma / variance * (share * away).sum(0)
        return Prediction(torch.stack((x0, eps)))

    def flow(self, x: Tensor, start: Level, end: Level, component: int) -> Tensor:
        """Where the probability-flow ODE of one component takes x: its inversion in closed form."""
        mean = self.means[component].to(x)

        def deviation(level: Level) -> float:
            return ((level.alpha * self.spread) ** 2 + level.sigma**2) ** 0.5

        return end.alpha * mean + deviation(end) / deviation(start) * (x - start.alpha * mean)
