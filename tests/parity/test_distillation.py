"""DDS, PDS and SDS beside their authors' formulas, one step each on random tensors in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.api import KnownLevels, Latents, Level, Prediction, SourceLatents
from retouch.run.executor import run
from retouch.testing.tiny import Draws
from retouch.testing.worlds import tiny_world
from retouch_methods.distil.dds import dds
from retouch_methods.distil.descent import drawn, fresh, several
from retouch_methods.distil.pds import pds
from retouch_methods.distil.sds import sds
from retouch_methods.guide.cfg import cfg

SCALE = 7.5


class Scores:
    """A denoiser of two prompts, each with noise of its own, no network; it keeps what it was shown."""

    def __init__(self, world) -> None:
        self._of, self._texts, self.seen = world.model, world.edit, []

    def eps(self, x, prompt):
        """What this prompt says of the noise in x.  [C, h, w]"""
        tilt = {self._texts.source.text: 0.3, self._texts.target.text: -0.2}.get(prompt.text, 0.05)
        return torch.tanh(x + tilt) + tilt * x.roll(1, -1)

    async def __call__(self, x, level: Level, prompt, *, timestep=None, role="cond", told=None):
        self.seen.append((level, role))
        return Prediction(torch.stack(((x - level.sigma * self.eps(x, prompt)) / level.alpha, self.eps(x, prompt))))


def world_of(steps: int = 999):
    """A world whose source and edit are two pictures, on every level that was trained or on fewer."""
    world = tiny_world(dtype=torch.float64)
    known = KnownLevels(world.schedule)
    walk = known.walk(known.at(t) for t in range(999, 0, -1)) if steps == 999 else known.spaced(steps, "leading")
    world = replace(world, guidance=cfg(guidance=SCALE), schedule=walk)
    draws = Draws(5, torch.float64)
    source = SourceLatents(draws.tensor(*world.latents.data.shape).double(), world.latents.canvas)
    return world, Scores(world), source


def guided(scores, x, toward, away):
    """Both predictions of the noise, guided as the authors write it."""
    without, with_ = scores.eps(x, away), scores.eps(x, toward)
    return without + SCALE * (with_ - without)


def taken(world, low, high):
    """The step and the draws of the one round, and alphas_cumprod of both of its levels."""
    (step,) = drawn(world.schedule, 1, low, high, world.noise)
    bars = world.schedule.trained
    return step, bars[int(step.noisy.timestep)], bars[int(step.clean.timestep)]


def one(world, stage, scores, source=None, **options):
    """The latents after one round."""
    ports = {"source": source} if source else {}
    made = run(world.call(stage, model=scores, **ports, rounds=1, **options))[0]
    assert isinstance(made, Latents)
    return made.data


def near(mine, wanted):
    assert (mine - wanted).norm() <= 1e-9 * wanted.norm()


@pytest.mark.parametrize("steps", [999, 20])
def test_dds_goes_down_the_difference_of_both_noises(steps):
    """The authors' loss: (eps_target - eps_source) * z / (h w), times 2,000, under SGD at 0.1."""
    world, scores, source = world_of(steps)
    _, bar, _ = taken(world, 0.05, 0.95)
    x, (noise, edit) = world.latents.data, (fresh(world.noise, 0, world.latents.data), world.edit)
    noisy = [bar**0.5 * z + (1 - bar) ** 0.5 * noise for z in (source.data, x)]
    grad = guided(scores, noisy[1], edit.target, edit.negative) - guided(scores, noisy[0], edit.source, edit.negative)
    height, width = x.shape[-2:]
    wanted = x - 0.1 * 2000 * grad / (height * width)
    near(one(world, dds, scores, source, rate=0.1 * 2000 / (height * width)), wanted)
    assert abs(0.1 * 2000 / 64**2 - 0.0488) < 1e-4, "the default is no longer the authors', on their 64 by 64 cells"


def test_pds_goes_down_the_difference_of_both_stochastic_latents():
    """The authors' zeta with the posterior's mean and deviation as DDPM writes them, on every trained level."""
    world, scores, source = world_of()
    _, bar, before = taken(world, 0.02, 0.98)
    beta = 1 - bar / before
    edit, x = world.edit, world.latents.data
    noise, after = (fresh(world.noise, i, x) for i in (0, 1))

    def zeta(z, prompt):
        x_t = bar**0.5 * z + (1 - bar) ** 0.5 * noise
        eps = guided(scores, x_t, prompt, edit.negative)
        x0 = (x_t - (1 - bar) ** 0.5 * eps) / bar**0.5
        mean = before**0.5 * beta / (1 - bar) * x0 + (1 - beta) ** 0.5 * (1 - before) / (1 - bar) * x_t
        deviation = ((1 - before) / (1 - bar) * beta) ** 0.5
        return (before**0.5 * z + (1 - before) ** 0.5 * after - mean) / deviation

    grad = zeta(x, edit.target) - zeta(source.data, edit.source)
    near(one(world, pds, scores, source, optimizer="sgd", rate=0.05), x - 0.05 * grad)
    adam = torch.optim.Adam([wanted := x.clone().requires_grad_()], lr=0.1, eps=1e-4)
    wanted.grad = grad
    adam.step()
    near(one(world, pds, scores, source), wanted.detach())


@pytest.mark.parametrize("weight", ["sigma2", "one"])
def test_sds_goes_down_what_is_said_beyond_the_noise_that_was_added(weight):
    world, scores, _ = world_of()
    _, bar, _ = taken(world, 0.02, 0.98)
    x, noise = world.latents.data, fresh(world.noise, 0, world.latents.data)
    eps = guided(scores, bar**0.5 * x + (1 - bar) ** 0.5 * noise, world.edit.target, world.edit.negative)
    wanted = x - 0.05 * ((1 - bar) if weight == "sigma2" else 1) * (eps - noise)
    near(one(world, sds, scores, weight=weight, rate=0.05), wanted)


def test_sds_by_x0_goes_to_the_mean_of_the_pictures_that_its_draws_predict():
    """HiFA's residual is z - z_1step: at a full step all that is left is the prediction."""
    world, scores, _ = world_of()
    _, bar, _ = taken(world, 0.02, 0.98)
    x, means = world.latents.data, []
    for noise in several(world.noise, 0, 3, x):
        noisy = bar**0.5 * x + (1 - bar) ** 0.5 * noise
        eps = guided(scores, noisy, world.edit.target, world.edit.negative)
        means.append((noisy - (1 - bar) ** 0.5 * eps) / bar**0.5)
    near(one(world, sds, scores, weight="x0", rate=1.0, draws=3), sum(means) / 3)


def test_of_all_trained_steps_the_levels_are_the_authors():
    """DDS draws timesteps 50 to 949 and PDS 20 to 979, each as often as any other."""
    world, _, _ = world_of()
    for low, high, least, most in ((0.05, 0.95, 50, 949), (0.02, 0.98, 20, 979)):
        times = [step.noisy.timestep for step in drawn(world.schedule, 20000, low, high, world.noise)]
        assert (min(times), max(times)) == (least, most)
        middle = sum(times) / len(times)
        assert abs(middle - (least + most) / 2) < 5
