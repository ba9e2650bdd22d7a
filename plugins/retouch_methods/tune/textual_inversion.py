"""A word for what a few pictures show, whose vectors alone are learnt.  Gal et al. 2023, arXiv:2208.01618.

The learning rate is that of the authors' code on latent diffusion; prompts take turns where they draw them.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Adapters,
    Checkpoints,
    Codec,
    Denoiser,
    Moot,
    Need,
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
from retouch_methods.tune.denoising import LossScale, Practice, counted, mean_missed
from retouch_methods.tune.resuming import descend_resuming

Sentence = Annotated[str, Pattern("[^_]*_[^_]*", "a text with _ where the word stands", "a photo of _")]


@stage(
    "tune",
    "textual_inversion",
    paper="arXiv:2208.01618",
    rows="0 if path else iterations * batch",
    facts={"learning": "0 if path else iterations", "led": "0 if path else iterations * batch"},
    needs=(
        Need("path or word", "has no file to read, and no word to learn", 'write word="<toy>" init="toy"'),
        Need(
            "path or init", "has no words that its own begins as", 'write init="toy": what the pictures show, roughly'
        ),
        Need("path or templates", "has no sentence for its word", 'write templates=["a photo of _"]'),
    ),
    moot=(
        Moot("init", "path", "the word is read from a file"),
        Moot("pictures", "path", "the word is read from a file"),
        Moot("templates", "path", "the word is read from a file"),
        Moot("vectors", "path", "the word is read from a file"),
        Moot("iterations", "path", "the word is read from a file"),
        Moot("batch", "path", "the word is read from a file"),
        Moot("lr", "path", "the word is read from a file"),
    ),
)
async def textual_inversion(
    texts: TextEncoder,
    adapters: Adapters,
    model: Denoiser | None = None,
    training: TrainingPictures | None = None,
    schedule: Schedule | None = None,
    codec: Codec | None = None,
    noise: NoiseSource | None = None,
    log: TrainingLog | None = None,
    checkpoints: Checkpoints | None = None,
    *,
    path: str | None = None,
    word: str = "",
    init: str = "",
    pictures: str = "",
    templates: tuple[Sentence, ...] = ("a photo of _", "a rendering of _", "the photo of _"),
    vectors: Annotated[int, Range(1, 32, "vectors")] = 1,
    iterations: Annotated[int, Range(1, 100_000, "steps")] = 1000,
    batch: Annotated[int, Range(1, 64, "pictures")] = 1,
    lr: Annotated[float, Range(0, 1)] = 5e-3,
) -> TextEncoder:
    """Teach the text encoder a word, which prompts of this flow may then name, in later turns as well.

    No weight of the model is moved, so the word can say no more than what the model could be told already.  With a file
    it is read, and several may be; `save embedding` writes one.

    path: a safetensors file in the names of diffusers; without, the word is learnt from pictures.
    word: what prompts say, such as "<toy>"; of a file, what to call it instead.
    init: what the pictures show in words that the model knows, from which the vectors begin.
    pictures: those that it learns from, a file, a folder, or a pattern such as "toys/*.png"; without, the turn's own.
    templates: prompts of the pictures, with _ where the word stands; steps take them in turns.
    vectors: how many tokens stand for the word.
    iterations: steps of Adam.
    batch: pictures in each.
    lr: learning rate of Adam.
    """
    if path:
        for name, each in adapters.words(path, word).items():
            texts = texts.knowing(name, each)
        return texts
    assert model
    assert training
    assert schedule
    assert codec
    assert noise
    assert log
    assert checkpoints
    clean = await encoded(training.pictures, codec)
    start = [begun(known, vectors) for known in texts.vectors(init)]
    seen = Practice.of(schedule, noise).of_pictures(clean, batch)

    async def miss(step: int, *tensors: Tensor) -> Tensor:
        told = await texts.knowing(word, tensors).prompt(templates[step % len(templates)].replace("_", word))
        return await mean_missed(model, await seen(step), told)

    begins_as = [await texts.prompt(each.replace("_", init)) for each in templates]
    work = (model, clean, start, begins_as, schedule, noise, batch, lr, iterations)
    checkpoint, told = checkpoints.of("word", work), counted(log, 0, iterations)
    learnt = await descend_resuming(start, miss, lr, range(iterations), told, checkpoint, scale=LossScale.of(model))
    checkpoint.drop()
    return texts.knowing(word, learnt)


def begun(known: Tensor, count: int) -> Tensor:
    """So many vectors that begin as known ones, over and over.  [tokens, d] -> [count, d], in float32 at least"""
    rows = torch.arange(count, device=known.device) % len(known)
    return known[rows].to(torch.promote_types(known.dtype, torch.float32))
