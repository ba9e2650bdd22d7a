"""What a stage says of itself that is not so, or that no recipe can use."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import Denoiser, Edit, Latents, Mask, Range, Schedule, SourceImage, stage, together
from tests.laws.planted.faults import planted


@planted("'1' says 1 to 1 rows, and 2 were evaluated")
@stage("mask", "a", rows=1)
async def asks_twice(latents: Latents, model: Denoiser, schedule: Schedule, edit: Edit) -> Mask:
    level = schedule.steps[-1].noisy
    await together(a=model(latents.data, level, edit.source), b=model(latents.data, level, edit.target))
    return Mask(torch.zeros(8, 8), 4)


@planted("a Mask, data [h, w] in [0, 1], and gave a tensor")
@stage("mask", "a")
def forgets_the_type(source: SourceImage) -> Mask:
    return source.data.mean(0)  # pyright: ignore[reportReturnType]


@planted("no recipe can use it: 'threshold' has a default, so it is an option, and options stand behind '*'")
@stage("mask", "a")
def has_an_option_among_its_ports(source: SourceImage, threshold: float = 0.5) -> Mask:
    return Mask((source.data.mean(0) > threshold).to(source.data))


@planted("the default of 'threshold' is 5, and it takes a number from 0 to 1")
@stage("mask", "a")
def has_a_default_out_of_range(source: SourceImage, *, threshold: Annotated[float, Range(0, 1)] = 5) -> Mask:
    return Mask((source.data.mean(0) > threshold).to(source.data))
