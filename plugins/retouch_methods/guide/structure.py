"""Guidance that keeps how a picture is built, as the keys of a vision transformer tell it.

Kwon and Ye 2023 (DiffuseIT), arXiv:2209.15264, eq. 6 and 7, after Tumanyan et al. 2022, arXiv:2201.00424, and Park et
al. 2020, arXiv:2007.15651.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Codec,
    Guidance,
    Loss,
    Need,
    Predicted,
    Range,
    SourceImage,
    VisionTokens,
    gather,
    stage,
    with_loss,
)


@stage(
    "guide",
    "structure",
    paper="arXiv:2209.15264",
    facts={
        "guide": "guide",
        "gradient": "2 if through == 'network' else 1",
        "seen": "eyes",
        "idle": "weight == 0 and contrast == 0",
    },
    needs=(
        Need(
            "not layers or (layer * eyes >= -layers and layer * eyes < layers)",
            "asks for layer {layer} of an eye that has {int(layers / eyes)}",
            "count from 0, or back from the last as -1",
        ),
    ),
)
async def structure(
    guidance: Guidance,
    source: SourceImage,
    codec: Codec,
    eyes: tuple[VisionTokens, ...],
    *,
    weight: Annotated[float, Range(0, 1_000_000)] = 1000.0,
    contrast: Annotated[float, Range(0, 1_000_000)] = 200.0,
    temperature: Annotated[float, Range(0.001, 10)] = 0.07,
    layer: Annotated[int, Range(-1000, 1000, "layers")] = -1,
    look: Literal["mixed", "predicted"] = "mixed",
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step so that the parts of the picture stand to each other as they do in the source.

    Choose it where everything may change its looks, as under a new style, and the layout is to stay. The last step
    draws next to no noise and is led by as little, so a walk of one step stays nearly as it was.

    weight: how much it counts that the keys of two places are less or more alike than in the source (mean square of
        the difference of their cosines, over all pairs of places).
    contrast: how much it counts that a place is not told from the others by its key in the source (cross-entropy).
    temperature: of that: the lower, the more the nearest wrong place counts.
    layer: which layer's keys, counted from 0, or from the last as -1; deep ones tell parts, early ones edges.
    look: "mixed" shows the prediction mixed with the noisy picture, as the paper has it; "predicted" it alone.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    height, width = source.data.shape[-2:]
    known = await gather(eye.picture(source.data, layer) for eye in eyes)

    async def miss(seen: Predicted) -> Tensor:
        now = (await seen.picture(look))[:, :height, :width]  # without what pads it
        found = await gather(eye.picture(now, layer) for eye in eyes)
        missed = [
            weight * relations_apart(keys, kept) + contrast * places_confused(keys[1:], kept[1:], temperature)
            for (_, keys), (_, kept) in zip(found, known, strict=True)
        ]
        return torch.stack(missed).mean()

    return with_loss(guidance, Loss(miss, 1.0, through), codec)


def relations_apart(keys: Tensor, source: Tensor) -> Tensor:
    """How differently the tokens of two pictures stand to each other: mean squared, of cosines.  [n, d] twice -> []"""
    return F.mse_loss(_cosines(keys, keys), _cosines(source, source))


def places_confused(keys: Tensor, source: Tensor, temperature: float) -> Tensor:
    """How badly each place is found among the places of the source, by cross-entropy.  [n, d] twice -> []"""
    return F.cross_entropy(_cosines(keys, source) / temperature, torch.arange(len(keys), device=keys.device))


def _cosines(one: Tensor, other: Tensor) -> Tensor:
    """[n, d] and [m, d] -> [n, m]"""
    return F.normalize(one, dim=1) @ F.normalize(other, dim=1).T
