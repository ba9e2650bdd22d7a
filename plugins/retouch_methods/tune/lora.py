"""LoRA beside the model, for one turn: read from a file, or learnt from pictures.  Hu et al. 2021, arXiv:2106.09685.

While it is learnt, two narrow matrices run beside each layer, and the layer's own weight has no gradient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from retouch.api import (
    Adapters,
    Checkpoints,
    Codec,
    Denoiser,
    Moot,
    Need,
    NegativePrompt,
    NoiseSource,
    Range,
    Schedule,
    TextEncoder,
    TrainingLog,
    TrainingPictures,
    stage,
)
from retouch_methods.tune.subject import (
    CLASS_GUIDANCE,
    CLASS_PICTURES,
    NAMES_SUBJECT,
    PRIOR,
    READS_PROMPT,
    Lesson,
    School,
    learn,
)
from retouch_methods.tune.tensors import Narrow, lora_layers


@stage(
    "tune",
    "lora",
    paper="arXiv:2106.09685",
    rows="0 if path else iterations * batch * (2 if class_prompt else 1)"
    " + (class_pictures * steps * (1 if class_guidance == 1 else 2) if class_prompt else 0)",
    facts={
        "learning": "0 if path else iterations",
        "led": "0 if path else iterations * batch * (2 if class_prompt else 1)",
        "idle": "scale == 0 or (not path and lr == 0)",
    },
    needs=(
        Need(
            "path or prompt or not reads_words",
            "has no file to read, and no prompt to learn pictures under",
            'write "style.safetensors", or prompt="a photo of a sks cat"',
        ),
        READS_PROMPT,
        NAMES_SUBJECT,
        Need(
            "path or layers != 'cross' or cross_sites",
            "asks for cross-attention, and this model has none of its own",
            'write layers="attention"',
        ),
    ),
    moot=(
        Moot("prompt", "path", "the LoRA is read from a file"),
        Moot("class_prompt", "path", "the LoRA is read from a file"),
        Moot("pictures", "path", "the LoRA is read from a file"),
        Moot("layers", "path", "the LoRA is read from a file"),
        Moot("rank", "path", "the LoRA is read from a file"),
        Moot("alpha", "path", "the LoRA is read from a file"),
        Moot("iterations", "path", "the LoRA is read from a file"),
        Moot("batch", "path", "the LoRA is read from a file"),
        Moot("lr", "path", "the LoRA is read from a file"),
        PRIOR,
        CLASS_PICTURES,
        CLASS_GUIDANCE,
    ),
)
async def lora(
    model: Denoiser,
    adapters: Adapters,
    training: TrainingPictures | None = None,
    schedule: Schedule | None = None,
    codec: Codec | None = None,
    texts: TextEncoder | None = None,
    negative: NegativePrompt | None = None,
    noise: NoiseSource | None = None,
    log: TrainingLog | None = None,
    checkpoints: Checkpoints | None = None,
    *,
    path: str | None = None,
    scale: Annotated[float, Range(-20, 20)] = 1.0,
    prompt: str = "",
    class_prompt: str = "",
    pictures: str = "",
    layers: Literal["cross", "attention"] = "cross",
    rank: Annotated[int, Range(1, 512, "directions")] = 4,
    alpha: Annotated[float, Range(0, 512)] = 0.0,
    iterations: Annotated[int, Range(1, 100_000, "steps")] = 500,
    batch: Annotated[int, Range(1, 64, "pictures")] = 1,
    lr: Annotated[float, Range(0, 1)] = 1e-4,
    prior: Annotated[float, Range(0, 100)] = 1.0,
    class_pictures: Annotated[int, Range(1, 1000, "pictures")] = 50,
    class_guidance: Annotated[float, Range(0, 100)] = 7.5,
) -> Denoiser:
    """Let a LoRA run beside the network in what follows of the turn, inversions too; the model's own weights stay.

    With a file it is read, and several add up.  What such a file holds for the text encoder is left out: `model "…"
    lora=["…"]` applies it, too.  Without one it is learnt from pictures, under a prompt with a rare word that
    stands for what they show ("a sks cat"); later prompts say that word.  `save lora` writes it for other programs.

    path: a safetensors file, in the names of diffusers, peft, kohya or the network's authors; without, it is learnt.
    scale: 1 acts as it was trained, 0 not at all, below 0 the other way.
    prompt: what all pictures that it learns from show.
    class_prompt: what pictures of its kind show: the model makes some, and learns on beside them; without, it does not.
    pictures: those that it learns from, a file, a folder, or a pattern such as "cats/*.png"; without, the turn's own.
    layers: "cross" is the attention to the prompt, "attention" all of it.
    rank: columns of each narrow matrix.
    alpha: what divided by the rank says how strongly the product acts while it is learnt; 0 stands for the rank.
    iterations: steps of Adam.
    batch: pictures of the subject in each, and as many of its kind.
    lr: learning rate of Adam.
    prior: weight of the loss on pictures of its kind.
    class_pictures: how many of those the model makes.
    class_guidance: classifier-free guidance by which it does.
    """
    if path:
        return model.tuned(adapters.lora(path, scale))
    assert training
    assert schedule
    assert codec
    assert texts
    assert negative
    assert noise
    assert log
    assert checkpoints
    beside = Narrow(model, lora_layers(model, layers), rank, noise, (alpha or rank) / rank)
    lesson = Lesson(training, prompt, class_prompt, iterations, batch, lr, prior, class_pictures, class_guidance)
    school = School(schedule, codec, texts, negative, noise, log, checkpoints)
    learnt = await learn(beside, lesson, school)
    return replace(beside, scale=scale * beside.scale).under(learnt)
