"""LoRA files beside the model, for one turn.  Hu et al. 2021, arXiv:2106.09685."""

from __future__ import annotations

from typing import Annotated

from retouch.api import Adapters, Denoiser, Range, stage


@stage("tune", "lora", paper="arXiv:2106.09685")
def lora(model: Denoiser, adapters: Adapters, *, path: str, scale: Annotated[float, Range(-20, 20)] = 1.0) -> Denoiser:
    """Let a LoRA run beside the network in what follows of the turn, inversions too; the model's own weights stay.

    Several add up.  What such a file holds for the text encoder is left out: `model "…" lora=["…"]` applies it, too.

    path: a safetensors file, in the names of diffusers, peft, kohya or the network's authors.
    scale: 1 acts as it was trained, 0 not at all, below 0 the other way.
    """
    return model.tuned(adapters.lora(path, scale))
