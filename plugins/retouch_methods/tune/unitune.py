"""UniTune: a few steps on one picture, under a token that no language has.  Valevski et al. 2023, arXiv:2210.09477.

Its model is not public; numbers are those of an implementation for Stable Diffusion: cross-attention alone, 100 steps
of four draws at 9e-5, where the paper has up to 128 of four at 1e-4 on all of Imagen.
"""

from __future__ import annotations

from typing import Annotated, Literal

from retouch.api import (
    Checkpoints,
    Codec,
    Denoiser,
    LearntWords,
    ModelDelta,
    Moot,
    NoiseSource,
    Pattern,
    Range,
    Schedule,
    TextEncoder,
    TrainingLog,
    TrainingPictures,
    stage,
)
from retouch_methods.picture.codec import encoded
from retouch_methods.tune.denoising import Practice, counted
from retouch_methods.tune.resuming import learn_pictures
from retouch_methods.tune.tensors import movable


@stage(
    "tune",
    "unitune",
    paper="arXiv:2210.09477",
    rows="batch * training_steps",
    facts={
        "copies": "4 if weights == 'all' else 1",
        "learning": "training_steps",
        "idle": "training_steps == 0 or lr == 0",
        "led": "batch * training_steps",
    },
    words="needed",
    prompts="tune prompts",
    moot=(Moot("rank", "weights != 'low_rank'", 'only weights="low_rank" has one'),),
)
async def unitune(
    training: TrainingPictures,
    model: Denoiser,
    schedule: Schedule,
    codec: Codec,
    encoder: TextEncoder,
    noise: NoiseSource,
    log: TrainingLog,
    checkpoints: Checkpoints,
    *,
    token: Annotated[str, Pattern("\\S+", "a word that no language has", "beikkpic")] = "beikkpic",
    pictures: str = "",
    training_steps: Annotated[int, Range(0, 100_000, "steps")] = 100,
    lr: Annotated[float, Range(0, 1)] = 9e-5,
    batch: Annotated[int, Range(1, 64, "draws")] = 4,
    weights: Literal["all", "attention", "cross", "low_rank"] = "cross",
    rank: Annotated[int, Range(1, 512, "directions")] = 8,
) -> Denoiser:
    """Learn the picture under a word that says nothing else, for an edit that begins at the picture in much noise.

    Follow it by `invert sdedit` with a strength of 0.8 to 0.98 and strong guidance.  Too few steps, and another
    picture comes; too many, and nothing changes: pictures differ in how many they take.  `save weights`, and
    `tune weights ratio=0.5` mixes it with the model as it was.

    token: the word, which is put before the prompts of what follows.
    pictures: what it learns, a file or a pattern such as "cats/*.png"; without, the turn's own picture.
    training_steps: steps of Adam.
    lr: learning rate.
    batch: draws of level and noise that one step sees.
    weights: those of "cross" attention alone, of all "attention", "all" of the network, or "low_rank".
    rank: of "low_rank".
    """
    clean = await encoded(training.pictures, codec)
    prompt, moved = await encoder.prompt(token), movable(model, weights, rank, noise)
    seen = Practice.of(schedule, noise).of_pictures(clean, batch)
    steps, towards = range(training_steps), counted(log, 0, training_steps)
    work = (model, prompt, clean, schedule, noise, training_steps, lr, batch, weights, rank)
    tensors = await learn_pictures(moved, seen, prompt, lr, steps, towards, checkpoints.of("unitune", work))
    return moved.under(tensors).tuned(ModelDelta(words=LearntWords(token=token)))
