"""Tuned weights from and to files, and several of them at once.

Mixing what networks predict, each for a part of the walk: Kim et al. 2022 (DiffusionCLIP), arXiv:2110.02711.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from torch import Tensor

from retouch.api import (
    Denoiser,
    Ending,
    Need,
    Outbox,
    Range,
    TextEncoder,
    TunedWeights,
    lora_tensors,
    mixed,
    safetensors_file,
    stage,
    tuned_tensors,
    word_tensors,
)

Share = Annotated[float, Range(0, 1)]


@stage(
    "tune",
    "weights",
    paper="arXiv:2110.02711",
    facts={
        "during": "(start, until)",
        "idle": "ratio == 0",
        "networks": "(networks if networks else 1) if mix == 'weights' else "
        "(networks + 2 if networks else 2) if mix == 'changes' and ratio != 0 else "
        "(networks if networks else 1) + 1 if ratio != 0 and ratio != 1 else "
        "1 if ratio == 1 and start == 0 and until == 1 else networks if networks else 1",
        "networks_least": "(networks_least if networks_least else 1) if mix == 'weights' else "
        "(networks_least if networks_least else 1) + "
        "(1 if ratio != 0 and start == 0 and until == 1 and (networks or ratio != 1) else 0) if mix == 'changes' else "
        "(networks_least if networks_least else 1) + 1 "
        "if ratio != 0 and ratio != 1 and start == 0 and until == 1 else "
        "1 if ratio == 1 else networks_least if networks_least else 1",
    },
    needs=(
        Need(
            "mix != 'weights' or (start == 0 and until == 1)",
            "adds weights, which hold for the whole walk",
            "write mix=\"changes\", or leave 'start' and 'until' out",
        ),
    ),
)
def tuned(
    model: Denoiser,
    files: TunedWeights,
    *,
    path: str,
    ratio: Annotated[float, Range(0, 4)] = 1.0,
    start: Share = 0.0,
    until: Share = 1.0,
    mix: Literal["shares", "changes", "weights"] = "shares",
) -> Denoiser:
    """Let tuned weights that `save weights` wrote stand in for the model's own in what follows of the turn.

    Behind an inversion only the walk down has them, as DiffusionCLIP edits.  A model that reads words is told there
    what the picture shows but for what is to change, as `invert ddim "an orange"->"a"` has it: "orange" would bring
    orange back, and with no words at all more is lost.  Of several, each after the first says how much its predictions
    count beside those before it, so they cost a row each wherever several count.

    path: a safetensors file, of the same model.
    ratio: how much its predictions count: 1 alone, 0 not at all, above 1 beyond what was tuned.
    start: fraction of the steps that are taken before they begin to count.
    until: fraction of the steps that are taken when they end to.
    mix: of several tunings: "shares" is the paper's, what each predicts in parts of a whole, so that of two each does
        less; "changes" adds what each changes of the prediction, and "weights" what each changes of the weights, which
        asks one network alone.
    """
    base, change = model.untuned(), files.tuning(path)
    if mix == "weights":
        return model.changed(change, ratio)
    made = base.tuned(change)
    if mix == "changes":
        return mixed(made, model, ratio, start, until, base)
    if (ratio, start, until) == (1, 0, 1):
        return made
    return mixed(made, model, ratio, start, until)


@stage("save", "weights")
def save_weights(model: Denoiser, outbox: Outbox, *, path: Annotated[str, Ending(".safetensors")]) -> None:
    """Write the weights that a tuning made, with the digest of the network that they were tuned from.

    `tune weights` reads them.  What LoRA files add is no part of them.

    path: the file.
    """
    _write(outbox, path, *tuned_tensors(model))


@stage("save", "embedding")
def save_embedding(texts: TextEncoder, outbox: Outbox, *, path: Annotated[str, Ending(".safetensors")]) -> None:
    """Write the word that the text encoder was taught last, in the names of diffusers' textual inversion.

    Of two encoders the file holds "clip_l" and "clip_g", and not the word.

    path: the file.
    """
    _write(outbox, path, word_tensors(texts), {"format": "pt"})


@stage("save", "lora")
def save_lora(model: Denoiser, outbox: Outbox, *, path: Annotated[str, Ending(".safetensors")]) -> None:
    """Write what a tuning of low rank made, as a LoRA in the names of diffusers and peft, to be read at weight 1.

    `tune lora` reads it, and so do other programs.  What other LoRA files add is no part of it.

    path: the file.
    """
    _write(outbox, path, lora_tensors(model), {"format": "pt"})


def _write(outbox: Outbox, path: str, tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> None:
    """A safetensors file with the recipe that it came from in its metadata, beside what else is said there."""
    recipe = outbox.stamp(path)
    with outbox.file(path) as file:
        file.write(safetensors_file(tensors, {**said, **({"retouch": recipe} if recipe else {})}))
