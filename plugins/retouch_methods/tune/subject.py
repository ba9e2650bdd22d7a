"""What tunings on a subject share: its pictures under a prompt of their own, beside what the model knows of its kind.

Ruiz et al. 2023 (DreamBooth), arXiv:2208.12242, eq. 1 and 2: the loss of denoising on the subject's pictures, and on
pictures of its kind that the model made before it was tuned, so that it goes on making them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from retouch.api import (
    Checkpoints,
    Codec,
    Denoiser,
    Moot,
    Need,
    NoiseSource,
    Prompt,
    Schedule,
    TextEncoder,
    TrainingLog,
    TrainingPictures,
    gather,
)
from retouch_methods.picture.codec import encoded
from retouch_methods.tune.denoising import LossScale, Miss, Practice, counted, mean_missed
from retouch_methods.tune.resuming import descend_resuming
from retouch_methods.tune.tensors import Movable

_IMAGINED = "imagined"

# What stages ask of the options of a `Lesson`.
READS_PROMPT = Need("reads_words or not prompt", "learns under a prompt, and the model reads none", "delete prompt")
NAMES_SUBJECT = Need(
    "not class_prompt or prompt != class_prompt",
    "learns the subject under the words of its kind",
    'write a rare word into prompt, as in prompt="a sks cat" class_prompt="a cat"',
)
PRIOR = Moot("prior", "not class_prompt", "there is no class_prompt")
CLASS_PICTURES = Moot("class_pictures", "not class_prompt", "there is no class_prompt")
CLASS_GUIDANCE = Moot("class_guidance", "not class_prompt", "there is no class_prompt")


@dataclass(frozen=True, slots=True)
class School:
    """What a tuning on a subject is given by the engine, beside the model that it moves."""

    schedule: Schedule
    codec: Codec
    texts: TextEncoder
    negative: Prompt
    noise: NoiseSource
    log: TrainingLog
    checkpoints: Checkpoints


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learnt, and how long: the options of its stage, which says what each of them means."""

    training: TrainingPictures
    prompt: str
    class_prompt: str
    iterations: int
    batch: int
    lr: float
    prior: float
    class_pictures: int
    class_guidance: float


async def learn(movable: Movable, lesson: Lesson, school: School) -> list[Tensor]:
    """Move these tensors until the model denoises the pictures under their prompt; returns them as they are then."""
    model, noise = movable.model, school.noise
    clean = await encoded(lesson.training.pictures, school.codec)
    subject = Shown(clean, await school.texts.prompt(lesson.prompt))
    of_kind = await school.texts.prompt(lesson.class_prompt) if lesson.class_prompt else None
    start = movable.first()
    checkpoint = school.checkpoints.of(
        model, movable, start, subject, of_kind, school.negative, school.schedule, noise, replace(lesson, training=None)
    )
    kind, beside = None, dict[str, Tensor]()
    if of_kind:
        # Pictures of the kind cost a walk each, so a run that was stopped has kept them.
        kept = checkpoint.read().get(_IMAGINED)
        if kept is None:
            prompts = (of_kind, school.negative)
            made = await imagined(
                model, prompts, school.schedule, lesson.class_guidance, noise, clean[0], lesson.class_pictures
            )
            kept = torch.stack(made)
        kind, beside = Shown(kept.to(clean[0].device), of_kind), {_IMAGINED: kept}
    miss = missing(movable, Practice.of(school.schedule, noise), subject, kind, lesson.prior, lesson.batch)
    steps, log = range(lesson.iterations), counted(school.log, 0, lesson.iterations)
    learnt = await descend_resuming(start, miss, lesson.lr, steps, log, checkpoint, beside, LossScale.of(model))
    checkpoint.drop()
    return learnt


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures, and the prompt that each of them is seen under."""

    latents: Sequence[Tensor] | Tensor  # each [C, h, w]
    prompt: Prompt


def missing(movable: Movable, practice: Practice, subject: Shown, kind: Shown | None, prior: float, batch: int) -> Miss:
    """The loss of one step: the mean over the subject's pictures, and `prior` times that over pictures of its kind.

    batch: pictures of each.  Each has a level and noise of its own.
    """
    shown = [subject] if kind is None else [subject, kind]
    seen = [practice.of_pictures(each.latents, batch, i * batch) for i, each in enumerate(shown)]

    async def miss(step: int, *tensors: Tensor) -> Tensor:
        model = movable.under(tensors)
        drawn = [await each(step) for each in seen]
        own, *others = await gather(
            mean_missed(model, draws, each.prompt) for draws, each in zip(drawn, shown, strict=True)
        )
        return own + prior * others[0] if others else own

    return miss


async def imagined(
    model: Denoiser,
    prompts: tuple[Prompt, Prompt],
    schedule: Schedule,
    guidance: float,
    noise: NoiseSource,
    like: Tensor,
    count: int,
) -> list[Tensor]:
    """Pictures that the model makes of a prompt, as latents: from noise down its walk, each step DDIM's, or Euler's.

    prompts: what they show, and what guidance leads away from.
    like: [C, h, w], as each of them; count: how many.
    """
    wanted, unwanted = prompts

    async def one(x: Tensor) -> Tensor:
        for step in schedule:
            asked = [model(x, step.noisy, wanted)]
            if guidance != 1:
                asked.append(model(x, step.noisy, unwanted, role="uncond"))
            pred, *away = await gather(asked)
            x = step.carry(x, away[0].toward(pred, guidance) if away else pred)
        return x

    return await gather(map(one, noise.normal(count, like)))
