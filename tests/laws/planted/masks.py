"""Masks that are none."""

from __future__ import annotations

import torch

from retouch.api import Edit, Latents, Mask, SourceImage, stage
from tests.laws.planted.faults import planted


@planted("the mask goes up to 5")
@stage("mask", "a")
def goes_beyond_one(latents: Latents) -> Mask:
    return Mask(torch.full((8, 8), 5.0), 4)


@planted("the mask has values that are not numbers")
@stage("mask", "a")
def divides_by_nothing(latents: Latents) -> Mask:
    return Mask(torch.zeros(8, 8) / 0, 4)


@planted("a Mask, data [h, w] in [0, 1] as float32, and gave bool")
@stage("mask", "a")
def compares_and_leaves_it_there(source: SourceImage) -> Mask:
    return Mask(source.data.mean(0) > 0.5)


@planted("nothing is to change, and 100.0% is masked")
@stage("mask", "a")
def masks_whatever_is_edited(edit: Edit) -> Mask:
    return Mask(torch.ones(8, 8), 4)
