"""Guidance bound to a prompt, and models that remember."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from retouch.core.schedule import Level, Prediction
from retouch.core.values import Prompt
from retouch.core.walk import Asking, Guidance, Predict


async def unguided(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
    """The conditional prediction alone.  x: [C, h, w]"""
    return await model(x, level, prompt)


def predictor(guidance: Guidance, model: Asking, toward: Prompt, away: Prompt) -> Predict:
    """What a rule asks: the guided model towards `toward` and away from `away`, unless it brings its own prompts.

    Called with x [C, h, w].
    """

    async def predict(
        x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
    ) -> Prediction:
        return await guidance(model, x, level, prompt or toward, negative or away)

    return predict


def remembering(model: Asking, remembered: Prompt, known: Prediction) -> Asking:
    """A model that answers from memory where it is asked for this prompt's conditional row, and asks otherwise.

    Called with x [C, h, w].
    """

    async def answer(
        x: Tensor,
        level: Level,
        prompt: Prompt,
        *,
        timestep: float | None = None,
        role: str = "cond",
        told: Mapping[str, float] | None = None,
    ) -> Prediction:
        # By identity: a prompt of the same text may have other embeddings, as one that was learnt has.
        if role == "cond" and prompt is remembered:
            return known
        return await model(x, level, prompt, timestep=timestep, role=role, told=told)

    return answer
