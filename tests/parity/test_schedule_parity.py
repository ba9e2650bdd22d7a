"""Our grid and step are those of diffusers' DDIMScheduler, over a product of its settings."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from retouch.api import Level, Prediction, Schedule
from retouch.core.schedule import split

STEPS = (1, 4, 5, 10, 25, 50)


def theirs(**config) -> DDIMScheduler:
    """Stable Diffusion's, in float64, so that what is left is the formula."""
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, **config
    )
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    scheduler.alphas_cumprod = (1 - betas).cumprod(0)
    last = torch.ones((), dtype=torch.float64)
    scheduler.final_alpha_cumprod = last if config.get("set_alpha_to_one", True) else scheduler.alphas_cumprod[0]
    return scheduler


def ours(scheduler: DDIMScheduler, steps: int) -> Schedule:
    """The same grid."""
    config = scheduler.config
    return Schedule.ddim(
        scheduler.alphas_cumprod.tolist(),
        steps,
        offset=config.steps_offset,
        to_one=config.set_alpha_to_one,
        spacing=config.timestep_spacing,
    )


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 30, 50, 999])
def test_timesteps_are_those_of_diffusers(spacing, offset, steps):
    scheduler = theirs(timestep_spacing=spacing, steps_offset=offset)
    scheduler.set_timesteps(steps)
    assert [step.noisy.timestep for step in ours(scheduler, steps)] == scheduler.timesteps.tolist()


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("to_one", [False, True])
@pytest.mark.parametrize(("spacing", "offset"), [("leading", 0), ("leading", 1), ("trailing", 0)])
@pytest.mark.parametrize("steps", STEPS)
def test_a_step_is_that_of_diffusers(steps, spacing, offset, to_one, kind, eta):
    scheduler = theirs(prediction_type=kind, timestep_spacing=spacing, steps_offset=offset, set_alpha_to_one=to_one)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    x, out, noise = torch.randn(3, 4, 8, 8, generator=generator, dtype=torch.float64)
    for step, t in zip(ours(scheduler, steps), scheduler.timesteps, strict=True):
        wanted = scheduler.step(out, int(t), x, eta=eta, variance_noise=noise)
        level = step.noisy
        alpha, sigma = (torch.tensor([s], dtype=torch.float64)[:, None, None, None] for s in (level.alpha, level.sigma))
        x0, eps = split(kind, x[None], out[None], alpha, sigma)[0]
        mine = step.mean(x0, eps, eta) + step.fresh(eta) * noise
        assert (x0 - wanted.pred_original_sample).norm() <= 1e-12 * x0.norm()
        assert (mine - wanted.prev_sample).norm() <= 1e-12 * mine.norm()


def test_the_levels_of_the_stock_scheduler_agree_to_single_precision():
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    for step in ours(theirs(), 50):
        assert step.noisy.alpha**2 == pytest.approx(float(scheduler.alphas_cumprod[int(step.noisy.timestep)]), rel=1e-5)


@pytest.mark.parametrize("steps", [0, 501, 1000, 1001])
def test_a_grid_that_leaves_the_trained_timesteps_is_refused(steps):
    scheduler = theirs(steps_offset=1)
    fits = max((i * (1000 // steps) + 1 for i in range(steps)), default=1000) < 1000 if 0 < steps <= 1000 else False
    if fits:
        assert ours(scheduler, steps).steps[0].noisy.timestep < 1000
    else:
        with pytest.raises(ValueError, match="do not fit"):
            ours(scheduler, steps)


def test_a_spacing_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="'even'"):
        Schedule.ddim([0.5] * 10, 2, spacing="even")


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
def test_predictions_are_the_two_halves_of_the_latent(kind):
    level = Level(0, 0.3, 0.7) if kind == "flow" else Level(0, 0.6, 0.8)
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 1, 4, 8, 8, generator=generator, dtype=torch.float64)
    raw = {"epsilon": eps, "v_prediction": level.alpha * eps - level.sigma * x0, "flow": eps - x0}[kind]
    scales = (torch.tensor(scale, dtype=torch.float64).view(1, 1, 1, 1) for scale in (level.alpha, level.sigma))
    found = split(kind, level.mix(x0, eps), raw, *scales)[0]
    torch.testing.assert_close(found, torch.cat((x0, eps)), rtol=0, atol=1e-12)


def test_a_step_and_its_undoing_are_inverse():
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 4, 8, 8, generator=generator, dtype=torch.float64)
    zero_snr = Schedule.through([Level(999, 0.0, 1.0), Level(500, 0.6, 0.8), Level(0, 1.0, 0.0)])
    for step in (*ours(theirs(), 10), *Schedule.flow(10), zero_snr.steps[0]):
        pred = Prediction(torch.stack((x.flip(0), eps)))
        moved = step.carry(x, pred)
        torch.testing.assert_close(step.uncarry(moved, pred), x, rtol=0, atol=1e-12)
        assert not torch.allclose(moved, x)
        assert not torch.allclose(step.uncarry(x, pred), x), "each step moves, that to pure noise too"
