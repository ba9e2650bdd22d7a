"""Guidance by gradient: losses on the picture that is predicted move each step towards what they want.

Dhariwal and Nichol 2021, arXiv:2105.05233, alg. 1 (the mean is shifted by the variance of the step times the gradient),
with losses on what the network predicts, as Avrahami et al. 2022, arXiv:2111.14818, and Kwon and Ye 2023,
arXiv:2209.15264, have it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from retouch.core.awaited.combinators import call, value_and_grad
from retouch.core.awaited.resources import Codec
from retouch.core.schedule import Level, Prediction
from retouch.core.values import Prompt
from retouch.core.walk import Asking, Guidance


class Restart(Exception):
    """The walk has gone wrong, and is to begin again with other noise: what a loss raises."""


@dataclass(slots=True, eq=False)
class Predicted:
    """What a loss is shown at one step of a walk.

    x: Tensor  # [C, h, w], where the walk is
    x0: Tensor  # [C, h, w], the clean latents that are predicted
    level: the noise level of x.
    memory: what this loss keeps from step to step of this walk.
    attempt: how often the walk has begun again.
    """

    x: Tensor
    x0: Tensor
    level: Level
    codec: Codec
    memory: dict[str, Any]
    attempt: int = 0
    _shown: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    async def picture(self, which: Literal["predicted", "mixed"] = "mixed") -> Tensor:
        """The picture that is predicted, decoded, where colours may leave [0, 1].  -> [3, H, W]

        which: "predicted", or "mixed" with x by as much as the level is noise (sqrt(1 - alphas_cumprod) of x0), so that
            a network is shown about as much noise as the prediction is worth.
        """
        if which not in self._shown:
            share = self.level.sigma
            data = self.x0 if which == "predicted" else share * self.x0 + (1 - share) * self.x
            decode = getattr(self.codec, "decode_freely", self.codec.decode)
            self._shown[which] = await call(decode, data)
        return self._shown[which]


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """One thing that guidance by gradient wants.

    of: what is seen -> how far that is from what is wanted  # []
    weight: how much it counts beside the others.
    through: "network" takes the gradient through the denoiser; "x0" takes the noise that is predicted for fixed, which
        spares the pass back through it.
    """

    of: Callable[[Predicted], Awaitable[Tensor]]
    weight: float
    through: Literal["network", "x0"] = "network"


@dataclass(frozen=True, slots=True, eq=False)
class GradientGuidance:
    """A guidance, and losses that lead it where a walk edits.

    Asked as it is, in an inversion or on the way of the source, it is `base`; `toward` makes what leads.
    """

    base: Guidance
    losses: tuple[Loss, ...]
    codec: Codec

    async def __call__(self, model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        """What the base says.  x: [C, h, w]"""
        return await self.base(model, x, level, prompt, negative)

    def toward(self, target: Prompt, attempt: int = 0) -> Guidance:
        """What leads one walk towards this prompt: it remembers that walk, so each has its own."""
        return _Led(self, target, attempt, tuple({} for _ in self.losses))


def with_loss(guidance: Guidance, loss: Loss, codec: Codec) -> GradientGuidance:
    """The guidance with one loss more: all that lead it are one sum, and one gradient."""
    if isinstance(guidance, GradientGuidance):
        return replace(guidance, losses=(*guidance.losses, loss))
    return GradientGuidance(guidance, (loss,), codec)


def leading(guidance: Guidance, target: Prompt, attempt: int = 0) -> Guidance:
    """The guidance of one walk towards a prompt; one without losses as it is.  attempt: how often it began again."""
    return guidance.toward(target, attempt) if isinstance(guidance, GradientGuidance) else guidance


@dataclass(frozen=True, slots=True, eq=False)
class _Led:
    guidance: GradientGuidance
    target: Prompt
    attempt: int
    memories: tuple[dict[str, Any], ...]

    async def __call__(self, model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        """The base's prediction, its noise moved against the gradient of all losses.  x: [C, h, w]"""
        base, losses = self.guidance.base, self.guidance.losses
        if prompt is not self.target or not level.alpha:  # at pure noise nothing is seen yet
            return await base(model, x, level, prompt, negative)
        known = None
        if all(loss.through == "x0" for loss in losses):
            known = await base(model, x, level, prompt, negative)

        async def missed(x: Tensor) -> tuple[Tensor, Tensor]:
            pair = known.pair if known else (await base(model, x, level, prompt, negative)).pair  # [2, C, h, w]
            given = level.denoised(x, pair[1].detach())
            looks = {"network": Predicted(x, pair[0], level, self.guidance.codec, {}, self.attempt)}
            looks["x0"] = replace(looks["network"], x0=given, _shown={})
            total = x.new_zeros(())
            for loss, memory in zip(losses, self.memories, strict=True):
                # Decoded once for all losses; each has a memory of its own.
                seen = looks[loss.through]
                made = replace(seen, memory=memory)
                made._shown = seen._shown
                total = total + loss.weight * await loss.of(made)
            return total, pair.detach()

        found = await value_and_grad(missed, x)
        return _shifted(x, level, Prediction(found.extra), found.grads[0])


def _shifted(x: Tensor, level: Level, pred: Prediction, grad: Tensor) -> Prediction:
    """The prediction under which a DDPM step's mean is less by its variance times the gradient.  All [C, h, w]

    Where the walk does not go down from here there is no such step, and the score moves instead (alg. 2 there).
    """
    share = level.sigma
    if (clean := level.clean) is not None and clean.sigma < level.sigma:
        variance = clean.variance_from(level)
        kept = max(clean.sigma**2 - variance, 0.0) ** 0.5
        share = variance / (clean.alpha * level.sigma / level.alpha - kept)
    return level.seen_as(x, torch.add(pred.eps, grad, alpha=share))
