"""One walk over a picture larger than the model.  Bar-Tal et al. 2023, "MultiDiffusion", arXiv:2302.08113, sec. 4."""

from __future__ import annotations

from typing import Annotated

from retouch.api import Codec, Denoiser, Range, Windows, seen_through, stage


@stage(
    "tiles",
    "multidiffusion",
    paper="arXiv:2302.08113",
    facts={"window": "size if size else side", "window_overlap": "overlap"},
)
def multidiffusion(
    model: Denoiser,
    codec: Codec,
    *,
    size: Annotated[int, Range(0, 8192, "pixels")] = 0,
    overlap: Annotated[float, Range(0, 0.75)] = 0.5,
) -> Denoiser:
    """Let what follows of the turn see the picture through overlapping windows, whose predictions are averaged.

    Choose it for panoramas, tall pictures, and any that are larger than the model takes: inversions, masks, guidance,
    controls and blends work on it whole, and each of their steps asks for all windows at once.  Since windows agree at
    every step, there are no seams; each is still drawn by the prompt alone, so that above low strengths one thing may
    come out as many.  A picture that fits into one window is edited as without.

    size: pixels of a window's side, 0 for the model's own.
    overlap: of two neighbours, as a share of a window's side; over it one fades into the other.
    """
    unit = codec.padded(1, 1)[0]
    side = codec.padded(size or codec.side, 1)[0]
    shared = int(overlap * side) // unit * unit
    return seen_through(model, Windows(side // codec.scale, shared // codec.scale, unit // codec.scale))
