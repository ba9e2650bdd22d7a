"""Guidance by the scores of several networks: what is said of the prompt is their weighted sum.

Zhang et al. 2023 (SINE), arXiv:2212.04489, eq. 6, and its authors' guidance by several models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from retouch.api import Asking, Denoiser, GradientGuidance, Guidance, Level, Prediction, Prompt

# What a stage says of itself that adds a voice of a share, with a part from start until the end of its window.
ONE_MORE = {
    "guide": "guide + (1 if share else 0)",
    "guide_least": "(guide_least if guide_least else guide) + (1 if share and start == 0 and until == 1 else 0)",
    "during": "(start, until)",
    "idle": "share == 0",
}


@dataclass(frozen=True, slots=True)
class Voice:
    """A network that has a part in what is said of the prompt.

    prompt: what it is asked about; None for what the model beside it is asked.
    share: how much it counts; what is left counts for the model.
    start, until: fractions of the steps between which it has a part.
    """

    model: Denoiser
    prompt: Prompt | None
    share: float
    start: float
    until: float

    def speaks(self, level: Level) -> bool:
        """Whether it has a part at this level."""
        return self.share != 0 and (self.start <= level.progress < self.until or level.progress == self.until == 1)


@dataclass(frozen=True, slots=True, eq=False)
class Voices:
    """A guidance whose conditional rows are sums over several networks; all other rows are the model's.

    instead: the network that stands in for the walk's own, if any.
    """

    base: Guidance
    voices: tuple[Voice, ...]
    instead: Denoiser | None = None

    async def __call__(self, model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        """The base's guidance of that sum.  x: [C, h, w]"""
        network = self.instead or model

        async def answer(
            x: Tensor,
            level: Level,
            prompt: Prompt,
            *,
            timestep: float | None = None,
            role: str = "cond",
            told: Mapping[str, float] | None = None,
        ) -> Prediction:
            pair = (await network(x, level, prompt, timestep=timestep, role=role, told=told)).pair
            speaking = [each for each in self.voices if each.speaks(level)] if role == "cond" else []
            if not speaking:
                return Prediction(pair)
            # One after the other, so that their rows have the model's own role, and controls act in each.
            asked = [
                await each.model(x, level, each.prompt or prompt, timestep=timestep, role=role, told=told)
                for each in speaking
            ]
            rest = 1 - sum(each.share for each in speaking)
            parts = [rest * pair, *(each.share * pred.pair for each, pred in zip(speaking, asked, strict=True))]
            return Prediction(torch.stack(parts).sum(0))

        return await self.base(answer, x, level, prompt, negative)


def with_voice(guidance: Guidance, voice: Voice, instead: Denoiser | None = None) -> Guidance:
    """The guidance with one network more: all shares are of one sum."""
    if isinstance(guidance, GradientGuidance):
        return replace(guidance, base=with_voice(guidance.base, voice, instead))
    if isinstance(guidance, Voices):
        return replace(guidance, voices=(*guidance.voices, voice), instead=instead or guidance.instead)
    return Voices(guidance, (voice,), instead)
