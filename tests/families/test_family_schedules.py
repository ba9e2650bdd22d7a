"""Each family's walk is its own pipeline's: the grid at several sizes, and a whole sample."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from retouch.api.kit import patches
from retouch.core.awaited.combinators import together
from retouch.core.schedule import Prediction
from retouch.run.executor import run
from tests.families.family_models import FamilyModel, far
from tests.families.pipelines import pipeline

SIZES = ((8, 8), (8, 16), (12, 32))  # latent cells


@pytest.mark.parametrize("size", SIZES)
def test_the_grid_is_the_one_that_the_pipeline_asks_its_scheduler_for(model: FamilyModel, size: tuple[int, int]):
    """Levels as the scheduler has them in float32, and the last of them is the picture."""
    steps, its = 6, pipeline(model).scheduler
    schedule = model.schedule(steps, size)
    if not isinstance(its, FlowMatchEulerDiscreteScheduler):
        its.set_timesteps(steps)
        assert [level.timestep for level in schedule.levels[:-1]] == its.timesteps.tolist()
        return
    tell(its, model.name, steps, size)
    sigmas = torch.tensor([level.sigma for level in schedule.levels])
    assert far(sigmas, its.sigmas) < 2e-7
    assert far(torch.tensor([level.timestep for level in schedule.levels[:-1]]), its.timesteps) < 2e-4
    assert all(level.flow and level.alpha == 1 - level.sigma for level in schedule.levels)


def test_only_a_walk_that_depends_on_the_size_says_so(model: FamilyModel):
    """What is said to be the same for all sizes is made once for all pictures."""
    small, large = (model.schedule(6, size) for size in (SIZES[0], SIZES[-1]))
    assert (small != large) == model.known.sized


def tell(scheduler: Any, name: str, steps: int, size: tuple[int, int]) -> None:
    """Set the scheduler as the pipeline's `__call__` does."""
    from diffusers.pipelines.flux import pipeline_flux
    from diffusers.pipelines.flux2 import pipeline_flux2_klein

    if name == "sd3":
        scheduler.set_timesteps(steps)
        return
    tokens = size[0] * size[1] // (1 if name == "flux2_klein" else 4)
    config = scheduler.config
    ends = (config.base_image_seq_len, config.max_image_seq_len, config.base_shift, config.max_shift)
    shift = pipeline_flux.calculate_shift(tokens, *ends)
    if name == "flux2_klein":
        shift = pipeline_flux2_klein.compute_empirical_mu(tokens, steps)
    scheduler.set_timesteps(sigmas=[1 + (1 / steps - 1) * i / (steps - 1) for i in range(steps)], mu=shift)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_sample_from_noise_is_the_pipelines_own(model: FamilyModel, guidance: float):
    """Prompts, negative prompt, schedule, forward, guidance and step, all at once."""
    steps, text, noise = 3, "a white cat on the beach", model.latents(4)
    its = its_sample(model, pipeline(model), noise, text, steps, guidance)
    assert far(sampled(model, noise[0], text, steps, guidance), its) < 2e-5


def its_sample(
    model: FamilyModel, pipe: Any, noise: torch.Tensor, text: str, steps: int, guidance: float
) -> torch.Tensor:
    """What a pipeline makes of noise [1, C, h, w], as our latents [C, h, w]."""
    asked = {"num_inference_steps": steps, "output_type": "latent", "latents": its_layout(model, noise)}
    side = 8 * model.known.scale
    asked |= {"height": side, "width": side} | guided_by(model, guidance)
    if model.name in ("sd3", "flux_dev", "flux_schnell"):
        asked["max_sequence_length"] = model.known.tokens - 77 * (model.name == "sd3")
    return our_layout(model, pipe(prompt=text, **asked).images)[0]


def guided_by(model: FamilyModel, guidance: float) -> dict[str, Any]:
    """A pipeline's own words for a guidance that extrapolates from the empty prompt."""
    match model.name:
        case "qwen_image":
            return {"true_cfg_scale": guidance, "negative_prompt": ""}
        case "flux_dev" | "flux_schnell":  # [dev] is told 3.5 besides
            return {"guidance_scale": 3.5, "true_cfg_scale": guidance, "negative_prompt": ""}
        case "flux2_klein":
            return {"guidance_scale": guidance, "text_encoder_out_layers": (1, 2, 3)}
        case "z_image":
            return {"guidance_scale": guidance - 1}
        case "sdxl":
            return {"guidance_scale": guidance, "negative_prompt": None}
        case _:
            return {"guidance_scale": guidance}


def its_layout(model: FamilyModel, x: torch.Tensor) -> torch.Tensor:
    """Latents as the pipeline takes them."""
    kind = type(pipeline(model))
    match model.name:
        case "flux_dev" | "flux_schnell":
            return kind._pack_latents(x, *x.shape)
        case "qwen_image":
            return kind._pack_latents(x[:, :, None], *x.shape)
        case _:
            return x


def our_layout(model: FamilyModel, x: torch.Tensor) -> torch.Tensor:
    """Latents as the pipeline gives them back."""
    side, kind = 8 * model.known.scale, type(pipeline(model))
    match model.name:
        case "flux_dev" | "flux_schnell":
            return kind._unpack_latents(x, side, side, model.known.scale)
        case "qwen_image":
            return kind._unpack_latents(x, side, side, model.known.scale)[:, :, 0]
        case "flux2_klein":
            return model.codec.scaled(x) if x.shape[1] != model.known.channels else x
        case _:
            return x


def sampled(model: FamilyModel, x: torch.Tensor, text: str, steps: int, guidance: float) -> torch.Tensor:
    """What our walk makes of noise; Qwen-Image's pipeline brings guided tokens back to the norm that they had."""
    prompt, negative = model.prompt(text), model.prompt("")

    async def predicted(x: torch.Tensor, level: Any) -> Prediction:
        if guidance == 1:
            return await model.model(x, level, prompt)
        pred = await together(uncond=model.model(x, level, negative), cond=model.model(x, level, prompt))
        guided = pred["uncond"].toward(pred["cond"], guidance)
        if model.name == "qwen_image":
            plain, far_out = (patches(each.velocity[None], 2).norm(dim=-1) for each in (pred["cond"], guided))
            ratio = (plain / far_out).reshape(1, 4, 4).repeat_interleave(2, 1).repeat_interleave(2, 2)
            return level.along(x, guided.velocity * ratio)
        return guided

    async def walk(x: torch.Tensor) -> torch.Tensor:
        for step in model.schedule(steps):
            x = step.carry(x, await predicted(x, step.noisy))
        return x

    return run(walk(x))[0]
