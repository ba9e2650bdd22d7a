"""SINE: a model that has learnt one picture, whole or in parts, to guide another.  Zhang et al. 2023, arXiv:2212.04489.

Parts are the authors': boxes on a grid of 128 cells a side, height and width drawn apart, brought to the side that the
model was trained on, while the network is told by waves at its first layer where they lie.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from torch import Tensor

from retouch.api import (
    Checkpoints,
    Codec,
    Denoiser,
    ModelDelta,
    Moot,
    Need,
    NoiseSource,
    Patch,
    Range,
    Schedule,
    SourcePrompt,
    TrainingLog,
    TrainingPictures,
    call,
    gather,
    resized,
    stage,
)
from retouch_methods.picture.codec import encoded
from retouch_methods.tune.denoising import Example, Practice, counted
from retouch_methods.tune.resuming import learn_pictures
from retouch_methods.tune.tensors import movable


@stage(
    "tune",
    "sine",
    paper="arXiv:2212.04489",
    rows="batch * training_steps",
    facts={
        "copies": "4 if weights == 'all' else 1",
        "learning": "training_steps",
        "idle": "training_steps == 0 or lr == 0",
        "led": "batch * training_steps",
        "cut": "patches",
    },
    words="needed",
    moot=(
        Moot("rank", "weights != 'low_rank'", 'only weights="low_rank" has one'),
        Moot("least", "not patches", "it learns the whole picture"),
        Moot("most", "not patches", "it learns the whole picture"),
    ),
    needs=(
        Need(
            "not patches or convolves",
            "learns patches by where they lie, and the first layer of this network keeps no place",
            "write patches=false, or use a model with a UNet",
        ),
        Need("least <= most", "has patches of at least {least} and at most {most}", "write least={most} most={least}"),
    ),
)
async def sine(
    training: TrainingPictures,
    model: Denoiser,
    schedule: Schedule,
    codec: Codec,
    prompt: SourcePrompt,
    noise: NoiseSource,
    log: TrainingLog,
    checkpoints: Checkpoints,
    *,
    pictures: str = "",
    training_steps: Annotated[int, Range(0, 1_000_000, "steps")] = 800,
    lr: Annotated[float, Range(0, 1)] = 1e-6,
    batch: Annotated[int, Range(1, 64, "draws")] = 1,
    patches: bool = False,
    least: Annotated[float, Range(0.02, 1)] = 0.1,
    most: Annotated[float, Range(0.02, 1)] = 1.0,
    weights: Literal["all", "attention", "cross", "low_rank"] = "all",
    rank: Annotated[int, Range(1, 512, "directions")] = 8,
) -> Denoiser:
    """Learn the picture under what it is said to show, for `guide sine` to guide the model as it was.

    The caption is best plain, such as "a picture of a castle": what it says too exactly, an edit will not change.

    pictures: what it learns, a file or a pattern such as "cats/*.png"; without, the turn's own picture.
    training_steps: steps of Adam; the authors take 800, and 10,000 with patches.
    lr: learning rate.
    batch: draws of level and noise that one step sees.
    patches: learn parts of the picture at the model's own size, told where they lie: then a picture of any size can be
        made under what was learnt.
    least: the smallest side of a patch, as a fraction of the picture's.
    most: the largest.
    weights: "all" of the network, those of its "attention", of its "cross" attention alone, or "low_rank".
    rank: of "low_rank".
    """
    practice, moved = Practice.of(schedule, noise), movable(model, weights, rank, noise)
    if patches:
        seen = _parts(training, Cutter(codec, noise, least, most), practice, batch)
    else:
        seen = practice.of_pictures(await encoded(training.pictures, codec), batch)
    steps, towards = range(training_steps), counted(log, 0, training_steps)
    work = (model, prompt, training, await seen(0), schedule, noise, training_steps, lr, batch)
    more = (patches, least, most, weights, rank)
    tensors = await learn_pictures(moved, seen, prompt, lr, steps, towards, checkpoints.of("sine", work, more))
    return moved.under(tensors).tuned(ModelDelta(place=Patch() if patches else None))


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts parts out of pictures, by the number of the step that sees them."""

    codec: Codec
    noise: NoiseSource
    least: float
    most: float

    def place(self, step: int, copy: int) -> Patch:
        """Where the part lies that one step sees."""
        tall, wide, down, across = replace(self.noise, key=f"{self.noise.key}/{step}.{copy}.cut").uniform(4)
        sides = [int(Patch.CELLS * (self.least + share * (self.most - self.least))) for share in (tall, wide)]
        top, left = (int(share * (Patch.CELLS - side + 1)) for share, side in zip((down, across), sides, strict=True))
        return Patch(top, left, top + sides[0], left + sides[1])

    async def latents(self, picture: Tensor, place: Patch) -> Tensor:
        """A part of a picture [3, H, W], in the picture's shape and of as many pixels as the model was trained on."""
        height, width = picture.shape[-2:]
        top, bottom = (round(cell / Patch.CELLS * height) for cell in (place.top, place.bottom))
        left, right = (round(cell / Patch.CELLS * width) for cell in (place.left, place.right))
        part = picture[:, top : max(bottom, top + 1), left : max(right, left + 1)]
        shape, side = (height / width) ** 0.5, self.codec.side
        return await call(
            self.codec.encode, resized(part, *self.codec.padded(round(side * shape), round(side / shape)))
        )


def _parts(
    training: TrainingPictures, cutter: Cutter, practice: Practice, batch: int
) -> Callable[[int], Awaitable[list[Example]]]:
    """Parts of pictures that take turns from draw to draw, so many a step."""

    async def part(step: int, copy: int) -> Example:
        picture = training.pictures[(step * batch + copy) % len(training.pictures)].data
        place = cutter.place(step, copy)
        latents = await cutter.latents(picture, place)
        return Example(latents, *practice.at(step, latents, copy), place)

    async def seen(step: int) -> list[Example]:
        return await gather(part(step, copy) for copy in range(batch))

    return seen
