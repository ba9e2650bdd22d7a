"""DiffEdit's mask is that of a transcription, and that of the pipeline in diffusers where it can be driven."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from retouch.run.executor import run
from retouch.testing.worlds import tiny_world
from retouch_methods.mask.diffedit import diffedit


@dataclass(frozen=True)
class Given:
    """Noise that was drawn elsewhere."""

    draws: Tensor

    def normal(self, count, like):
        assert self.draws.shape == (count, *like.shape)
        return self.draws


def naive(world, noise, strength, clamp, threshold, ceiling=0.0):
    """Couairon et al. 2022, step 1, with the prompts' own predictions."""
    steps = len(world.schedule)
    step = world.schedule.steps[steps - int(steps * strength)]
    heat = torch.zeros(8, 8, dtype=noise.dtype)
    with torch.no_grad():
        for eps in noise:
            x = (step.noisy.alpha * world.latents.data + step.noisy.sigma * eps)[None]
            t = torch.tensor([float(step.noisy.timestep)])
            source, target = (
                world.model.core.module(x, t, encoder_hidden_states=prompt.embeds[None]).sample[0]
                for prompt in (world.edit.source, world.edit.target)
            )
            heat += (target - source).abs().mean(0) / len(noise)
    top = ceiling or heat.mean() * clamp
    return (heat.clamp(0, top) / top > threshold).to(noise.dtype)


@pytest.mark.parametrize("strength", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("clamp", [1.2, 3.0])
@pytest.mark.parametrize("threshold", [0.4, 0.7])
def test_the_mask_is_that_of_a_transcription(strength, clamp, threshold):
    world = tiny_world(steps=10, dtype=torch.float64)
    noise = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = {"strength": strength, "clamp": clamp, "threshold": threshold}
    (mask,) = run(world.call(diffedit, noise=Given(noise), maps=4, **options))
    assert torch.equal(mask.data, naive(world, noise, **options))


@pytest.mark.parametrize("ceiling", [0.07, 0.1])
def test_a_ceiling_of_its_own_is_the_same_for_every_picture(ceiling):
    world = tiny_world(steps=10, dtype=torch.float64)
    noise = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (mask,) = run(world.call(diffedit, noise=Given(noise), maps=4, ceiling=ceiling))
    expected = naive(world, noise, 0.5, 3.0, 0.5, ceiling)
    assert torch.equal(mask.data, expected)
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [2.0, 7.5])
def test_the_mask_is_that_of_diffusers_under_any_guidance(seed, scale):
    """With one negative prompt, guidance scales the whole difference, and the mask is a share of its maximum."""
    from diffusers import AutoencoderKL, DDIMInverseScheduler, DDIMScheduler
    from diffusers.pipelines.deprecated.stable_diffusion_diffedit import StableDiffusionDiffEditPipeline

    world = tiny_world(steps=10, seed=seed)
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    vae = AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=1, latent_channels=4)
    unet = world.model.core.module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pipeline is deprecated, and says so
        pipeline = StableDiffusionDiffEditPipeline(
            vae, None, None, unet, scheduler, None, None, DDIMInverseScheduler.from_config(scheduler.config), False
        )
        wanted = pipeline.generate_mask(
            image=world.latents.data[None],
            source_prompt_embeds=world.edit.source.embeds[None],
            target_prompt_embeds=world.edit.target.embeds[None],
            num_maps_per_mask=5,
            num_inference_steps=10,
            source_negative_prompt_embeds=world.edit.negative.embeds[None],
            target_negative_prompt_embeds=world.edit.negative.embeds[None],
            guidance_scale=scale,
            generator=torch.Generator().manual_seed(seed),
        )
    noise = torch.randn(5, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
    (mask,) = run(world.call(diffedit, noise=Given(noise), maps=5))
    assert 0 < mask.data.mean() < 1
    assert (mask.data.numpy() == wanted[0]).all()


def test_masks_are_the_same_beside_other_pictures():
    world = replace(tiny_world(steps=10))
    alone = [run(world.neighbour(i).call(diffedit))[0] for i in range(3)]
    among = run(*(world.neighbour(i).call(diffedit) for i in range(3)))
    for one, two in zip(alone, among, strict=True):
        assert (one.data != two.data).double().mean() <= 1 / 64  # a cell on the threshold may fall either way


@pytest.mark.parametrize("count", [1, 3, 10])
def test_equal_prompts_give_an_empty_mask_whatever_else_runs(count):
    world = tiny_world(steps=10)
    others = [world.neighbour(i).call(diffedit, maps=i) for i in range(1, 4)]
    extra = world.model(world.latents.data, world.schedule.steps[0].noisy, world.edit.source)
    _, mask, *_ = run(extra, world.null_edit().call(diffedit, maps=count), *others)
    assert not mask.data.any()
