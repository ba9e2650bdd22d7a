"""The denoiser as stages see it: awaitable, for one image.

What evaluates it (`Core`) lives with its model family; a test's analytic model is a Core as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from retouch.core.awaited.requests import Ask, Group, Network, Row
from retouch.core.schedule import Level, Prediction, PredictionKind
from retouch.core.tuning import ModelDelta
from retouch.core.values import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class Denoiser(Network):
    """`await model(x, level, prompt)`; the executor decides who shares a forward pass."""

    @property
    def told(self) -> Mapping[str, float]:
        """The numbers that the network reads besides, such as a distilled guidance, and their neutral values."""
        return getattr(self.core, "told", {})

    @property
    def predicts(self) -> PredictionKind:
        """What the network puts out: noise, diffusion's velocity, or a flow's."""
        return getattr(self.core, "kind", "epsilon")

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The weights that it runs under, by parameter name; only to be read.  What runs beside layers is no part."""
        return {**self.core.base, **self.delta.over(self.core.base)}

    @property
    def digest(self) -> str:
        """The fingerprint of the base weights' files; empty where there are none, as of a test's network."""
        return getattr(self.core, "digest", "")

    @property
    def part(self) -> str:
        """The folder of its weights in the layout of diffusers, with which names in LoRA files begin."""
        return getattr(self.core, "part", "unet")

    def tuned(self, delta: ModelDelta) -> Denoiser:
        """The same network under other weights: another identity, its rows never meet this one's."""
        return Denoiser(self.core, self.delta.under(delta))

    def changed(self, change: ModelDelta, ratio: float) -> Denoiser:
        """The same network, so much of what a tuning of its own weights changed added to those that it has."""
        return replace(self, delta=self.delta.plus(change, self.core.base, ratio))

    def untuned(self) -> Denoiser:
        """The same network under its own weights, and what LoRA files add."""
        return Denoiser(self.core, ModelDelta(beside=self.delta.beside)) if self.delta.beside else Denoiser(self.core)

    async def __call__(
        self,
        x: Tensor,
        level: Level,
        prompt: Prompt,
        *,
        timestep: float | None = None,
        role: str = "cond",
        told: Mapping[str, float] | None = None,
    ) -> Prediction:
        """What the network says of x [C, h, w] at this level under this prompt.

        timestep: what to tell the network, where that is not the level's own (DDIM inversion).
        role: the label by which attention controls find this row.
        told: numbers that some families' networks read besides, such as {"guidance": 3.5}; see `Described.told`.
        """
        row = Row(self, x, level, level.timestep if timestep is None else timestep, prompt, told or {})
        (reply,) = await Ask((Group((row,), ((role,),)),))
        return reply.predictions[0]
