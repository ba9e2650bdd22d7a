"""A subject under a rare word, by tuning the denoiser's weights.  Ruiz et al. 2023, arXiv:2208.12242.

As in the paper but for two things: the text encoder stays as it is, and what the model makes of the subject's kind is
kept as latents, without a way through the codec and back.
"""

from __future__ import annotations

from typing import Annotated, Literal

from retouch.api import (
    Checkpoints,
    Codec,
    Denoiser,
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
from retouch_methods.tune.tensors import movable


@stage(
    "tune",
    "dreambooth",
    paper="arXiv:2208.12242",
    rows="iterations * batch * (2 if class_prompt else 1)"
    " + (class_pictures * steps * (1 if class_guidance == 1 else 2) if class_prompt else 0)",
    facts={
        "copies": "4 if weights == 'all' else 1",
        "learning": "iterations",
        "idle": "lr == 0",
        "led": "iterations * batch * (2 if class_prompt else 1)",
    },
    needs=(
        Need(
            "prompt or not reads_words",
            "has no prompt to learn pictures under",
            'write prompt="a photo of a sks cat"',
        ),
        READS_PROMPT,
        NAMES_SUBJECT,
        Need(
            "weights != 'cross' or cross_sites",
            "asks for cross-attention, and this model has none of its own",
            'write weights="attention"',
        ),
    ),
    moot=(
        PRIOR,
        CLASS_PICTURES,
        CLASS_GUIDANCE,
    ),
)
async def dreambooth(
    training: TrainingPictures,
    model: Denoiser,
    schedule: Schedule,
    codec: Codec,
    negative: NegativePrompt,
    noise: NoiseSource,
    log: TrainingLog,
    checkpoints: Checkpoints,
    texts: TextEncoder | None = None,
    *,
    prompt: str = "",
    class_prompt: str = "",
    pictures: str = "",
    weights: Literal["all", "attention", "cross"] = "all",
    iterations: Annotated[int, Range(1, 100_000, "steps")] = 400,
    batch: Annotated[int, Range(1, 64, "pictures")] = 1,
    lr: Annotated[float, Range(0, 1)] = 5e-6,
    prior: Annotated[float, Range(0, 100)] = 1.0,
    class_pictures: Annotated[int, Range(1, 1000, "pictures")] = 50,
    class_guidance: Annotated[float, Range(0, 100)] = 7.5,
) -> Denoiser:
    """Tune the denoiser until it knows the subject of a few pictures under a rare word ("a sks cat").

    Three to five pictures of one subject are usual, from one it learns the background, too.  What follows of the turn
    works under the tuned weights, inversions as well; `save weights` writes them for later runs.

    prompt: what all pictures that it learns from show; the rare word is one that means little to the model.
    class_prompt: what pictures of its kind show: the model makes some, and learns on beside them, so that not all of
        its kind becomes the subject; without, it does not.
    pictures: those that it learns from, a file, a folder, or a pattern such as "cats/*.png"; without, the turn's own.
    weights: "all" of the network, those of its "attention", or of the attention to the prompt, "cross".
    iterations: steps of Adam.
    batch: pictures of the subject in each, and as many of its kind.
    lr: learning rate of Adam.
    prior: weight of the loss on pictures of its kind.
    class_pictures: how many of those the model makes.
    class_guidance: classifier-free guidance by which it does.
    """
    assert texts
    whole = movable(model, weights, 0, noise)
    lesson = Lesson(training, prompt, class_prompt, iterations, batch, lr, prior, class_pictures, class_guidance)
    school = School(schedule, codec, texts, negative, noise, log, checkpoints)
    return whole.under(await learn(whole, lesson, school))
