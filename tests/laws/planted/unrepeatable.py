"""Another result from the same inputs: what is counted, drawn by chance, or written into inputs."""

from __future__ import annotations

import random

import torch

from retouch.api import Denoiser, Edit, Latents, Mask, stage
from tests.laws.planted.faults import planted


@planted("the same inputs gave another result")
@stage("mask", "a")
def counts_its_calls(latents: Latents) -> Mask:
    CALLS.append(0)
    return Mask(torch.full((8, 8), 1 / len(CALLS)), 4)


CALLS: list[int] = []


@planted("draws from the global generator of torch; take a NoiseSource")
@stage("mask", "a")
def draws_with_torch(latents: Latents) -> Mask:
    torch.manual_seed(0)
    return Mask(torch.rand(8, 8), 4)


@planted("draws from the global generator of random")
@stage("mask", "a")
def draws_with_python(latents: Latents) -> Mask:
    return Mask(torch.full((8, 8), random.random()), 4)


@planted("wrote into its input 'latents.data'")
@stage("mask", "a")
def writes_into_latents(latents: Latents) -> Mask:
    latents.data.clamp_(-1, 1)
    return Mask(torch.ones(8, 8), 4)


@planted("wrote into its input 'edit.target.embeds'")
@stage("mask", "a")
def writes_into_the_prompt_through_numpy(edit: Edit) -> Mask:
    edit.target.embeds.numpy()[0] += 1
    return Mask(torch.zeros(8, 8), 4)


@planted("wrote into its input 'model.core.base")
@stage("mask", "a")
def writes_into_the_network(model: Denoiser) -> Mask:
    next(iter(model.core.base.values())).data[0] += 0.001
    return Mask(torch.zeros(8, 8), 4)
