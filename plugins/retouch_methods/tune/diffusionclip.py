"""Weights tuned until pictures change as words change.  Kim et al. 2022 (DiffusionCLIP), arXiv:2110.02711.

The walk is the authors': S timesteps from t0 down to 0, both among them, and from there to the picture (alpha 1); on
the way up the network is asked at the level that a step leaves.  Each picture goes up once, by the model as it was, and
comes down by the weights that are tuned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Codec,
    Denoiser,
    ImageText,
    KnownLevels,
    Level,
    Moot,
    Need,
    NegativePrompt,
    NoiseSource,
    Pattern,
    Prompt,
    Range,
    Schedule,
    TrainingLog,
    TrainingPictures,
    VisionTokens,
    call,
    direction_apart,
    gather,
    stage,
    text_direction,
)
from retouch_methods.picture.codec import encoded
from retouch_methods.tune.learning import Learner, Miss
from retouch_methods.tune.tensors import movable

Sentence = Annotated[str, Pattern("[^_]*_[^_]*", "a text with _ where the prompt stands", "a drawing of _")]


@stage(
    "tune",
    "diffusionclip",
    paper="arXiv:2110.02711",
    moot=(Moot("rank", "weights != 'low_rank'", 'only weights="low_rank" has one'),),
    rows="training * (inversion_steps - 1 + rounds * (2 * tuning_steps - 1 if variant == 'whole' else tuning_steps))",
    facts={
        "copies": "4 if weights == 'all' else 1",
        "learning": "rounds * tuning_steps",
        "idle": "lr == 0",
        "led": "training * rounds * tuning_steps",
        "looked": "training * rounds * (1 if variant == 'whole' else tuning_steps)",
        "glances": "training * rounds * (1 if variant == 'whole' else tuning_steps) * "
        "(eyes + (faces if identity else 0))",
    },
    needs=(
        Need("source != target", "goes from one text to another, and both are the same", 'write another target="…"'),
        Need(
            "identity == 0 or faces",
            "has a weight of identity, and no 'eye vit' to see it with",
            'write eye vit "storybook" before it, or identity=0',
        ),
    ),
)
async def diffusionclip(
    training: TrainingPictures,
    model: Denoiser,
    schedule: Schedule,
    codec: Codec,
    negative: NegativePrompt,
    noise: NoiseSource,
    log: TrainingLog,
    eyes: tuple[ImageText, ...],
    faces: tuple[VisionTokens, ...] = (),
    *,
    source: str,
    target: str,
    pictures: str = "",
    variant: Literal["whole", "efficient"] = "whole",
    weights: Literal["all", "attention", "low_rank"] = "all",
    rank: Annotated[int, Range(1, 512, "directions")] = 8,
    strength: Annotated[float, Range(0.01, 1)] = 0.5,
    inversion_steps: Annotated[int, Range(2, 1000, "steps")] = 40,
    tuning_steps: Annotated[int, Range(2, 1000, "steps")] = 6,
    rounds: Annotated[int, Range(0, 1000, "times")] = 5,
    batch: Annotated[int, Range(1, 64, "pictures")] = 1,
    lr: Annotated[float, Range(0, 1)] = 8e-6,
    growth: Annotated[float, Range(0.1, 10)] = 1.3,
    direction: Annotated[float, Range(0, 1000)] = 3.0,
    l1: Annotated[float, Range(0, 1000)] = 0.0,
    identity: Annotated[float, Range(0, 1000)] = 0.0,
    templates: tuple[Sentence, ...] = (),
) -> Denoiser:
    """Tune the denoiser until what comes back from noise has moved from one text to another, as an eye sees it.

    One model an attribute: tuned once, on some thirty pictures, it edits any picture of their kind by an inversion
    under the model as it was and a walk under the tuned one.  Prompts do not change: while it is tuned the denoiser
    reads the negative prompt, which is empty unless the recipe says otherwise.

    source, target: what the pictures show, and what they are to show; the eye alone reads it.
    pictures: the pictures that it learns from, a file or a pattern such as "cats/*.png"; without, the turn's own.
    variant: "whole" takes the gradient through the whole walk; "efficient" learns at each step of it by what that one
        predicts, with as many steps of Adam.
    weights: "all" of the network, those of its "attention", or "low_rank": what is added to each matrix.
    rank: of "low_rank".
    strength: how far up the walk goes, as a fraction of the timesteps that the model was trained at.
    inversion_steps: timesteps of the way up, both ends among them.
    tuning_steps: timesteps of the way down, likewise.
    rounds: how often each picture is seen.
    batch: pictures that one step of Adam sees.
    lr: learning rate of Adam in the first round.
    growth: by what it is multiplied after each round.
    direction: weight of -log of half of 1 + the cosine between the change of the picture and that of the text.
    l1: weight of the mean absolute difference from the picture, of colours from -1 to 1.
    identity: weight of 1 - the cosine with the picture as it was, as each `eye vit` sees it.
    templates: sentences with _ where a text stands, over which the direction of the texts is averaged; such as the
        eye was trained on tell it best.
    """
    clean = await encoded(training.pictures, codec)
    up, down = ways(schedule, strength, inversion_steps, tuning_steps)
    wants = Wants(codec, eyes, [await text_direction(eye, source, target, templates) for eye in eyes], faces)
    misses = [await wants.loss(x, direction, l1, identity) for x in clean]
    noisy = await gather(inverted(model, x, up, negative) for x in clean)

    learner = Learner(movable(model, weights, rank, noise), negative, lr)
    teach = learner.whole if variant == "whole" else learner.efficient
    every = batches(noisy, batch)
    for done in range(rounds * len(every)):
        which = every[done % len(every)]
        loss = await teach(down, torch.stack([noisy[i] for i in which]), [misses[i] for i in which])
        log.learnt(done + 1, rounds * len(every), loss)
        if which is every[-1]:
            learner.grow(growth)
    return learner.now


def batches(pictures: list[Tensor], size: int) -> list[list[int]]:
    """The places of pictures that learn together: neighbours of one shape, `size` of them at most."""
    found: list[list[int]] = []
    for i, each in enumerate(pictures):
        if found and len(found[-1]) < size and pictures[found[-1][0]].shape == each.shape:
            found[-1].append(i)
        else:
            found.append([i])
    return found


class Ways(NamedTuple):
    """The walk up, of one step less than it has timesteps, and the walk down, of as many as it has."""

    up: Schedule
    down: Schedule


def ways(schedule: Schedule, strength: float, inversion_steps: int, tuning_steps: int) -> Ways:
    """The walks between t0 and 0; on a flow, whose time 0 is the picture, the one down has a timestep more."""
    flow = schedule.steps[0].noisy.flow
    picture = Level(0, 1.0, 0.0, flow=flow)
    up = _visited(schedule, strength, inversion_steps)
    down = _visited(schedule, strength, tuning_steps + flow)
    return Ways(Schedule.through(up), Schedule.through(down if flow else [*down, picture]))


def _visited(schedule: Schedule, strength: float, count: int) -> list[Level]:
    """So many levels from t0 down to timestep 0, evenly spaced and, of a list of trained ones, rounded down."""
    known, trained = KnownLevels(schedule), len(schedule.trained)
    if not trained:
        return [known.at(strength * known.top.timestep * i / (count - 1)) for i in reversed(range(count))]
    top = min(int(strength * trained + 1e-9), trained - 1)
    share = 1 / (count - 1)  # rounded as numpy's linspace is, which decides some timesteps
    times = [*(int(i * share * top) for i in range(count - 1)), top]
    return [known.at(time) for time in reversed(times)]


async def inverted(model: Denoiser, x: Tensor, up: Schedule, prompt: Prompt) -> Tensor:
    """Take latents [C, h, w] up, each step seen from the level that it leaves; they begin at timestep 0."""
    for step in up.ascending():
        x = step.uncarry(x, await model(x, step.clean, prompt))
    return x


@dataclass(frozen=True, slots=True)
class Wants:
    """What is wanted of each picture, as all eyes see it."""

    codec: Codec
    eyes: tuple[ImageText, ...]
    texts: list[Tensor]  # [d] for each eye
    faces: tuple[VisionTokens, ...]

    async def loss(self, clean: Tensor, direction: float, l1: float, identity: float) -> Miss:
        """The loss on what is predicted instead of these latents, [C, h, w].

        Compared is with what the codec makes of them, whose own loss would be the same in both.
        """
        before = await call(self.codec.decode, clean)  # [3, H, W]
        places = await gather(eye.picture(before) for eye in self.eyes)
        looks = await gather(_whole(eye, before) for eye in self.faces)

        async def miss(predicted: Tensor) -> Tensor:
            decode: Callable[[Tensor], Tensor] = getattr(self.codec, "decode_freely", self.codec.decode)
            now = await call(decode, predicted)
            total = l1 * 2 * (now - before).abs().mean()
            if direction:
                moved = await gather(eye.picture(now) for eye in self.eyes)
                apart = [direction_apart(*each) for each in zip(moved, places, self.texts, strict=True)]
                total = total - direction * torch.log1p(-torch.stack(apart) / 2).mean()
            if identity:
                seen = await gather(_whole(eye, now) for eye in self.faces)
                alike = [F.cosine_similarity(*pair, dim=0) for pair in zip(seen, looks, strict=True)]
                total = total + identity * (1 - torch.stack(alike)).mean()
            return total

        return miss


async def _whole(eye: VisionTokens, picture: Tensor) -> Tensor:
    """The class token of the last layer.  [d]"""
    return (await eye.picture(picture))[0]
