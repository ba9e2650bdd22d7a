"""The loss of a denoiser: v-prediction, on timesteps drawn where shapes are decided."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Levels:
    """Noise levels to train on: log(sigma / alpha) is normal, as in Karras et al. 2022, arXiv:2206.00364, sec. 5."""

    center: float
    spread: float


LATENTS = Levels(-0.2, 1.15)


def scheduler(beta_end: float = 0.012) -> DDIMScheduler:
    """The noise levels of Stable Diffusion, with v-prediction; a larger beta_end than its own ends in more noise."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=beta_end,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def pixel_scheduler() -> DDIMScheduler:
    """The noise levels of DDPM, which end in noise that hides even the mean colour of a picture.

    Stable Diffusion's end at sigma / alpha = 14.6, where the mean of a 64 x 64 picture still shows: a model that has
    learned to read it there takes pure noise for a grey picture, as in Lin et al. 2024, arXiv:2305.08891, sec. 3.1.
    Ho et al. 2020, arXiv:2006.11239, sec. 4
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )


def draw_timesteps(count: int, alphas_cumprod: Tensor, draws: torch.Generator, levels: Levels = LATENTS) -> Tensor:
    """Draw [count] timesteps, one from each count-th of the distribution: a batch sees all noise levels."""
    quantiles = (
        torch.arange(count, device=draws.device) + torch.rand(count, generator=draws, device=draws.device)
    ) / count
    normal = torch.erfinv(2 * quantiles.clamp(1e-4, 1 - 1e-4) - 1) * 2**0.5
    log_ratio = ((1 - alphas_cumprod) / alphas_cumprod).sqrt().log()
    return torch.searchsorted(log_ratio, normal * levels.spread + levels.center).clamp(max=len(alphas_cumprod) - 1)


def v_loss(
    predict: Callable[[Tensor, Tensor], Tensor],
    clean: Tensor,
    alphas_cumprod: Tensor,
    draws: torch.Generator,
    levels: Levels = LATENTS,
) -> Tensor:
    """Mean square error of v = alpha eps - sigma x0.  Salimans & Ho 2022, arXiv:2202.00512, app. D

    predict: noisy [n, C, h, w], timesteps [n] -> v [n, C, h, w]; alphas_cumprod and draws live on one device.
    """
    timesteps = draw_timesteps(len(clean), alphas_cumprod, draws, levels)
    noise = torch.randn(clean.shape, generator=draws, device=draws.device).to(clean.device)
    kept = alphas_cumprod[timesteps].to(clean.device)[:, None, None, None]
    alpha, sigma = kept.sqrt(), (1 - kept).sqrt()
    v = predict(alpha * clean + sigma * noise, timesteps.to(clean.device)).float()
    return (v - (alpha * noise - sigma * clean)).square().mean()
