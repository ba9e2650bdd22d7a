"""Guidance by one more tuned network.  Zhang et al. 2023 (SINE), arXiv:2212.04489, its authors' several models."""

from __future__ import annotations

from typing import Annotated

from retouch.api import Denoiser, Guidance, Prompt, Range, TextEncoder, TunedWeights, stage
from retouch_methods.guide.voices import ONE_MORE, Voice, with_voice

Share = Annotated[float, Range(0, 1)]


@stage(
    "guide",
    "mix",
    paper="arXiv:2212.04489",
    facts=ONE_MORE,
    words="needed",
)
async def mix(
    guidance: Guidance,
    model: Denoiser,
    files: TunedWeights,
    encoder: TextEncoder,
    *,
    path: str,
    says: str = "",
    share: Annotated[float, Range(0, 2)] = 0.5,
    start: Share = 0.0,
    until: Share = 1.0,
) -> Guidance:
    """Let tuned weights that `save weights` wrote have a part in what is said of the prompt; write it once for each.

    Where `tune weights ratio=…` mixes all that networks predict, inversions too, this leaves the negative prompt and
    the way to noise to the model, and may ask each network about another text.

    path: a safetensors file, of the same model.
    says: what that network is asked about; without, the prompt.
    share: how much it counts; all shares are of one sum, whose rest is the model's own.
    start: fraction of the steps that are taken before it counts.
    until: fraction of the steps that are taken when it ends to.
    """
    other = model.untuned().tuned(files.tuning(path))
    said: Prompt | None = await encoder.prompt(says) if says else None
    return with_voice(guidance, Voice(other, said, share, start, until))
