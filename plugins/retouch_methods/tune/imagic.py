"""Imagic: an embedding, then weights, that make the picture.  Kawar et al. 2023, arXiv:2210.09276, sec. 3.

Numbers of steps and learning rates are those of the pipeline of diffusers; the paper has 100 and 1,500 steps on Imagen.
The picture is the mean of its latents, where that pipeline draws them once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor

from retouch.api import (
    Checkpoints,
    Denoiser,
    Latents,
    LearntWords,
    ModelDelta,
    Moot,
    NoiseSource,
    Range,
    Schedule,
    TargetPrompt,
    TrainingLog,
    stage,
)
from retouch_methods.tune.denoising import LossScale, Practice, counted, mean_missed
from retouch_methods.tune.resuming import descend_resuming, learn_pictures
from retouch_methods.tune.tensors import movable

_EMBEDDING = "embedding"


@stage(
    "tune",
    "imagic",
    paper="arXiv:2210.09276",
    rows="batch * (embedding_steps + training_steps)",
    facts={
        "copies": "4 if weights == 'all' else 1",
        "learning": "embedding_steps + training_steps",
        "idle": "(embedding_steps == 0 or embedding_lr == 0) and (training_steps == 0 or lr == 0)",
        "led": "batch * (embedding_steps + training_steps)",
    },
    words="needed",
    prompts="tune prompts",
    moot=(
        Moot("rank", "weights != 'low_rank'", 'only weights="low_rank" has one'),
        Moot("embedding_lr", "embedding_steps == 0", "no embedding is learnt"),
        Moot("lr", "training_steps == 0", "no weights are learnt"),
        Moot("weights", "training_steps == 0", "no weights are learnt"),
    ),
)
async def imagic(
    latents: Latents,
    prompt: TargetPrompt,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    log: TrainingLog,
    checkpoints: Checkpoints,
    *,
    embedding_steps: Annotated[int, Range(0, 100_000, "steps")] = 500,
    embedding_lr: Annotated[float, Range(0, 1)] = 1e-3,
    training_steps: Annotated[int, Range(0, 100_000, "steps")] = 1000,
    lr: Annotated[float, Range(0, 1)] = 2e-6,
    batch: Annotated[int, Range(1, 64, "draws")] = 1,
    weights: Literal["all", "attention", "cross", "low_rank"] = "all",
    rank: Annotated[int, Range(1, 512, "directions")] = 8,
) -> Denoiser:
    """Learn the picture as an embedding near that of the target prompt, then with weights, until both give it back.

    Choose it for changes that move things, such as a pose, which nothing that keeps the layout makes.  `tune prompts`
    says how far an edit goes from what was learnt towards the prompt, and a sweep of that tunes once.

    embedding_steps: steps of Adam on the embedding, by the loss of the weights as they are.
    embedding_lr: learning rate there.
    training_steps: steps of Adam on the weights, by the embedding that was found.
    lr: learning rate there.
    batch: draws of level and noise that one step sees; the authors have one.
    weights: "all" of the network, those of its "attention", of its "cross" attention alone, or "low_rank".
    rank: of "low_rank".
    """
    practice, steps = Practice.of(schedule, noise), embedding_steps + training_steps
    seen = practice.of_pictures([latents.data], batch)

    async def by_words(step: int, embeds: Tensor) -> Tensor:
        return await mean_missed(model, await seen(step), prompt.saying(embeds))

    towards = counted(log, 0, steps)
    work = (embedding_steps, embedding_lr, training_steps, lr, batch, weights, rank)
    checkpoint = checkpoints.of("imagic", latents, prompt, model, schedule, noise, work)
    # A run that was stopped behind the first half has its embedding, and goes on in the second.
    learnt = checkpoint.read().get(_EMBEDDING)
    if learnt is None:
        first, scale = range(embedding_steps), LossScale.of(model)
        (learnt,) = await descend_resuming(
            [prompt.embeds], by_words, embedding_lr, first, towards, checkpoint, scale=scale
        )
    learnt = learnt.to(prompt.embeds.device)

    moved, then = movable(model, weights, rank, noise), range(embedding_steps, steps)
    kept = {_EMBEDDING: learnt}
    tensors = await learn_pictures(moved, seen, prompt.saying(learnt), lr, then, towards, checkpoint, kept)
    return moved.under(tensors).tuned(ModelDelta(words=LearntWords(learnt)))
