"""CycleDiffusion (Wu & De la Torre 2022) gives what diffusers' pipeline and the paper's algorithm give."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from retouch.run.executor import run
from retouch.testing.tiny import tiny_core
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.sample.sample import sample
from tests.parity.by_papers import Given, drawn, eps_of, grid, moments, walked
from tests.parity.pipelines import tiny_pipeline, tiny_pipeline_world

STEPS = 6


@pytest.mark.parametrize("eta", [0.1, 0.7])
@pytest.mark.parametrize("scales", [(1.0, 3.0), (2.0, 5.0)])
def test_every_latent_of_the_edit_is_that_of_diffusers_pipeline(eta, scales):
    from diffusers.pipelines.deprecated.stable_diffusion_variants.pipeline_cycle_diffusion import (
        CycleDiffusionPipeline,
    )

    steps, kept, pipe = 10, 8, tiny_pipeline()
    world = tiny_pipeline_world(pipe, steps, "a white cat", "a black dog")
    seen: list[Tensor] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pipeline is deprecated, and says so
        cycle = CycleDiffusionPipeline(
            pipe.vae, pipe.text_encoder, pipe.tokenizer, pipe.unet, pipe.scheduler, None, None, False
        )
        cycle.set_progress_bar_config(disable=True)
        cycle(
            prompt="a black dog",
            source_prompt="a white cat",
            image=world.latents.data[None],
            strength=kept / steps,
            num_inference_steps=steps,
            source_guidance_scale=scales[0],
            guidance_scale=scales[1],
            eta=eta,
            generator=torch.Generator().manual_seed(1),
            output_type="latent",
            callback=lambda i, t, latents: seen.append(latents[0]),
        )
    assert len(seen) == kept
    world = replace(world, guidance=cfg(guidance=scales[1]))
    # The pipeline draws nothing for the last step, which ends at the picture.
    noise = Given(torch.cat((drawn(kept), torch.zeros(1, 4, 8, 8))))
    options = {"eta": eta, "source_guidance": scales[0], "strength": kept / steps}
    (made,) = run(world.call(cycle_diffusion, noise=noise, **options))
    for mine, wanted in zip(walked(world, made), seen, strict=True):
        assert (mine - wanted).norm() <= 1e-5 * wanted.norm()


@pytest.mark.parametrize("kinds", [("epsilon", "epsilon"), ("epsilon", "v_prediction")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_one_model_recorded_another_one_samples(kinds, dtype):
    """Unpaired translation: the first model's noise, the second model's walk."""
    eta, scale = 0.3, 2.0
    here, there = (tiny_world(kind, steps=STEPS, dtype=dtype) for kind in kinds)
    there = replace(there, model=replace(there.model, core=other_core(kinds[1], dtype)))
    there = replace(there, guidance=cfg(guidance=scale))
    draws = drawn(STEPS + 1).to(dtype)
    (made,) = run(here.call(cycle_diffusion, noise=Given(draws), eta=eta, strength=1.0))
    (out,) = run(there.call(sample, trajectory=made))
    wanted = naive_cycle(here, kinds[0], there, kinds[1], draws, eta, scale)
    assert (out.data - wanted).norm() <= (1e-5 if dtype == torch.float32 else 1e-10) * wanted.norm()
    (alone,) = run(replace(here, guidance=cfg(guidance=scale)).call(sample, trajectory=made))
    assert (out.data - alone.data).norm() > 0.1 * alone.data.norm()


def other_core(kind, dtype):
    """Another random network of the same shape."""
    return tiny_core(kind, seed=2, dtype=dtype)


@torch.no_grad()
def naive_cycle(here, kind, there, other_kind, draws, eta, scale):
    """Algorithm 1, online: the source and the target walk side by side and share z."""
    x0, levels = here.latents.data, grid(here)[::-1]
    x = y = levels[0][0] * x0 + levels[0][1] * draws[0]
    for i, (high, low) in enumerate(pairwise(levels)):
        new, old = moments(low, high, eta)
        e = (x - high[0] * x0) / high[1]
        x_next = x0 if i == len(levels) - 2 else low[0] * x0 + old * e + new * draws[i + 1]
        eps = eps_of(here, kind, x, high, here.edit.source)
        z = (x_next - low[0] * (x - high[1] * eps) / high[0] - old * eps) / new
        eps = eps_of(there, other_kind, y, high, there.edit.target, scale, there.edit.negative)
        y = low[0] * (y - high[1] * eps) / high[0] + old * eps + new * z
        x = x_next
    return y
