"""Edit-friendly DDPM (Huberman-Spiegelglas et al. 2023) gives what diffusers' LEDITS++ and the authors' loop give."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from retouch.run.executor import run
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.sample.sample import sample
from tests.parity.by_papers import Given, drawn, eps_of, grid, moments
from tests.parity.pipelines import tiny_pipeline, tiny_pipeline_world

STEPS = 6
KINDS = ["epsilon", "v_prediction"]


@pytest.mark.parametrize(("steps", "skip"), [(6, 0.5), (8, 0.0)])
@pytest.mark.parametrize("scale", [1.5, 3.5])
def test_noise_and_start_are_those_of_diffusers_ledits_pipeline(steps, skip, scale):
    """With a DDIM scheduler, LEDITS++ inverts as edit-friendly DDPM does, but with its two prompts mixed up."""
    from diffusers import LEditsPPPipelineStableDiffusion
    from PIL import Image

    pipe = tiny_pipeline()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    whole = int(steps * (1 + skip))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        ledits = LEditsPPPipelineStableDiffusion(
            pipe.vae, pipe.text_encoder, pipe.tokenizer, pipe.unet, pipe.scheduler, None, None, False
        )
        ledits.set_progress_bar_config(disable=True)
        settings = {"source_guidance_scale": scale, "num_inversion_steps": steps, "skip": skip}
        ledits.invert(picture, "a cat", **settings, generator=torch.Generator().manual_seed(1))
        x0, _ = ledits.encode_image(picture)
    world = tiny_pipeline_world(pipe, whole, "a cat", "a dog")
    mixed_up = replace(world.edit, source=world.edit.negative, negative=world.edit.source)
    world = replace(world, latents=replace(world.latents, data=x0[0]), edit=mixed_up)
    noise = Given(drawn(steps).flip(0))  # the pipeline draws for the cleanest level first
    options = {"source_guidance": scale, "strength": steps / whole}
    (made,) = run(world.call(edit_friendly, noise=noise, **options))
    assert (made.states[0, 0] - ledits.init_latents[0]).norm() <= 1e-6 * ledits.init_latents.norm()
    for step, offset, z in zip(made.schedule, made.rule.offsets[:, 0], ledits.zs[:, 0], strict=True):
        assert (offset / step.fresh(1.0) - z).norm() <= 1e-5 * z.norm()


@pytest.mark.crossed
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last_noise", ["recorded", "zero"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_edit_is_that_of_a_transcription(kind, last_noise, dtype):
    kept, scales = 4, (3.5, 15.0)
    world = replace(tiny_world(kind, steps=STEPS, dtype=dtype), guidance=cfg(guidance=scales[1]))
    draws = drawn(kept).to(dtype)
    options = {"source_guidance": scales[0], "strength": kept / STEPS, "last_noise": last_noise}
    (made,) = run(world.call(edit_friendly, noise=Given(draws), **options))
    (out,) = run(world.call(sample, trajectory=made))
    wanted = naive(world, kind, kept, draws, scales, last_noise == "zero")
    assert (out.data - wanted).norm() <= (1e-5 if dtype == torch.float32 else 1e-10) * wanted.norm()


@torch.no_grad()
def naive(world, kind, kept, draws, scales, zero):
    """The authors' order: all x_t, then z_t from the noisiest, correcting x_{t-1} as it goes; then the edit."""
    x0, levels, edit = world.latents.data, grid(world, kept)[::-1], world.edit
    xts = [high[0] * x0 + high[1] * draw for high, draw in zip(levels[:-1], draws, strict=True)] + [x0]

    def mean(x, prompt, scale, low, high):
        eps = eps_of(world, kind, x, high, prompt, scale, edit.negative)
        return low[0] * (x - high[1] * eps) / high[0] + moments(low, high, 1)[1] * eps

    zs = []
    for i, (high, low) in enumerate(pairwise(levels)):
        mu, std = mean(xts[i], edit.source, scales[0], low, high), moments(low, high, 1)[0]
        zs.append((xts[i + 1] - mu) / std)
        xts[i + 1] = mu + std * zs[-1]
    if zero:
        zs[-1] = torch.zeros_like(x0)
    x = xts[0]
    for z, (high, low) in zip(zs, pairwise(levels), strict=True):
        x = mean(x, edit.target, scales[1], low, high) + moments(low, high, 1)[0] * z
    return x
