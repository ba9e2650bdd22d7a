"""Broad colours as they were, as Wang et al. 2023 correct them behind the decoder.  "StableSR", arXiv:2305.07015."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Image, Range, SourceImage, stage


@stage("match", "lowpass", default=True, paper="arXiv:2305.07015")
def lowpass(image: Image, source: SourceImage, *, reach: Annotated[float, Range(0.5, 512, "pixels")] = 3.0) -> Image:
    """Take what is broader than `reach` from the picture that the turn began with, and what is finer from the edit.

    Choose it behind an edit that is to add detail alone: `upscale … | invert sdedit …` at a low strength.  A decoder
    tints what it is given, most of all at other sizes than it learnt, and a denoiser that sees parts of a scene mottles
    it; from stage to stage both add up to a patch that shows.  Behind an edit that changes colours it would undo it.
    Near the edge of what was edited it takes from both sides: `blend pixel mask=…` behind it gives the rest back.

    reach: the standard deviation of the Gaussian that parts the two.
    """
    if image.size != source.size:
        raise ValueError(f"the picture is {list(image.size)}, and the turn began with {list(source.size)}")
    return Image((image.data + blurred(source.data - image.data, reach)).clamp(0, 1), image.alpha)


def blurred(data: Tensor, deviation: float) -> Tensor:
    """A picture under a Gaussian, which ends at the picture's own edges.  [C, H, W]"""
    radius = math.ceil(3 * deviation)
    places = torch.arange(-radius, radius + 1, dtype=data.dtype, device=data.device)
    weights = torch.exp(-0.5 * (places / deviation) ** 2)
    ones = torch.ones_like(data[:1])
    for shape, margin in (((1, 1, -1, 1), (0, 0, radius, radius)), ((1, 1, 1, -1), (radius, radius, 0, 0))):
        kernel = weights.reshape(shape)
        data, ones = (F.conv2d(F.pad(each[:, None], margin), kernel)[:, 0] for each in (data, ones))
    return data / ones
