"""A tuning that trains: some of the model's weights learn one picture."""

from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Adam,
    Denoiser,
    Edit,
    Latents,
    ModelDelta,
    NoiseSource,
    Range,
    Schedule,
    SourcePrompt,
    TargetPrompt,
    gather,
    stage,
    value_and_grad,
)


@stage("tune", "picture", rows="rounds * min(draws, steps)", facts={"copies": 0.1})
async def picture(
    latents: Latents,
    prompt: SourcePrompt,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    rounds: Annotated[int, Range(0, 1000, "steps")] = 5,
    draws: Annotated[int, Range(1, 100)] = 4,
    lr: Annotated[float, Range(0, 1)] = 1e-3,
) -> Denoiser:
    """Let cross-attention learn the picture under its caption, by the loss that diffusion models are trained with.

    rounds: steps of Adam.
    draws: noise levels that each step sees.
    lr: how far a step goes.
    """
    names = [name for name in model.weights if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))]
    weights, adams = [model.weights[name] for name in names], [Adam(lr) for _ in names]
    seen = schedule.steps[:: max(1, len(schedule) // draws)][:draws]
    drawn = noise.normal(len(seen), like=latents.data)

    async def missed(tuned: Denoiser, level, eps: Tensor) -> Tensor:
        x = level.mix(latents.data, eps)
        return (level.said(await tuned(x, level, prompt)) - level.said(level.seen_as(x, eps))).square().mean()

    async def loss(*tensors: Tensor) -> Tensor:
        tuned = model.tuned(ModelDelta(dict(zip(names, tensors, strict=True))))
        every = (missed(tuned, step.noisy, eps) for step, eps in zip(seen, drawn, strict=True))
        return torch.stack(await gather(every)).mean()

    for _ in range(rounds):
        found = await value_and_grad(loss, *weights)
        weights = [adam.step(each, grad) for adam, each, grad in zip(adams, weights, found.grads, strict=True)]
    return model.tuned(ModelDelta(dict(zip(names, weights, strict=True))))


@stage("tune", "words")
def words(edit: Edit, *, alpha: Annotated[float, Range(0, 2)] = 0.7) -> Edit:
    """Let the target be a part of the way from the source's embedding to its own.

    alpha: 0 is the source, 1 the target.
    """
    between = torch.lerp(edit.source.embeds, edit.target.embeds, alpha)
    return Edit(edit.source, edit.target.saying(between).of(TargetPrompt), edit.negative, edit.weights)
