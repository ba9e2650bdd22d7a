"""EDICT, CycleDiffusion, edit-friendly DDPM and fixed points give what papers' loops and diffusers' pipelines give."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from retouch.core.denoiser import Denoiser
from retouch.core.values import Canvas, Edit, Latents, Prompt
from retouch.models.kit.unet import UNet
from retouch.models.kit.unet_sites import attention_sites
from retouch.models.network.core import NetworkCore
from retouch.run.executor import run
from retouch.testing.tiny import Draws, schedule, tiny_model
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.fixed_point import fixed_point
from retouch_methods.sample.sample import sample
from tests.models.tiny_folder import pipeline

STEPS = 6
KINDS = ["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Given:
    """Noise that was drawn elsewhere."""

    draws: Tensor

    def normal(self, count, like):
        assert self.draws.shape == (count, *like.shape)
        return self.draws.to(like)


def drawn(count, seed=1):
    """Draws one by one, as a pipeline asks for them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(1, 4, 8, 8, generator=generator)[0] for _ in range(count)])


def eps_of(world: World, kind, x, level, prompt, scale=1.0, negative=None):
    """The noise that the raw network predicts at (alpha, sigma, timestep), guided by hand."""
    alpha, sigma, t = level

    def one(embeds):
        out = world.model.core.module(x[None], torch.tensor([float(t)]), encoder_hidden_states=embeds[None]).sample[0]
        return out if kind == "epsilon" else alpha * out + sigma * x

    if negative is None:
        return one(prompt.embeds)
    away = one(negative.embeds)
    return away + scale * (one(prompt.embeds) - away)


def grid(world: World, kept=STEPS):
    """[(alpha, sigma, timestep)] of the last steps, cleanest first."""
    return [(level.alpha, level.sigma, level.timestep) for level in reversed(world.schedule.levels)][: kept + 1]


class TestEdict:
    """Wallace et al. 2022, with the two maps and the order of the authors' code."""

    P, SCALE = 0.93, 3.0

    def naive(self, world, kind, kept):
        """[(X, Y)] from the picture to noise, and where the target prompt leads from there."""

        def towards(prompt, x, level):
            return eps_of(world, kind, x, level, prompt, self.SCALE, world.edit.negative)

        def noisier(u, e, low, high):
            ratio = high[0] / low[0]
            return ratio * u + high[1] * e - ratio * low[1] * e

        def cleaner(u, e, low, high):
            ratio = high[0] / low[0]
            return u / ratio - high[1] / ratio * e + low[1] * e

        p, levels = self.P, grid(world, kept)
        x = y = world.latents.data
        path = [(x, y)]
        for i, (low, high) in zip(reversed(range(kept)), pairwise(levels), strict=True):
            y = (y - (1 - p) * x) / p
            x = (x - (1 - p) * y) / p
            if i % 2 == 0:
                y = noisier(y, towards(world.edit.source, x, high), low, high)
                x = noisier(x, towards(world.edit.source, y, high), low, high)
            else:
                x = noisier(x, towards(world.edit.source, y, high), low, high)
                y = noisier(y, towards(world.edit.source, x, high), low, high)
            path.append((x, y))
        for i, (low, high) in enumerate(reversed(list(pairwise(levels)))):
            if i % 2 == 0:
                x = cleaner(x, towards(world.edit.target, y, high), low, high)
                y = cleaner(y, towards(world.edit.target, x, high), low, high)
            else:
                y = cleaner(y, towards(world.edit.target, x, high), low, high)
                x = cleaner(x, towards(world.edit.target, y, high), low, high)
            x = p * x + (1 - p) * y
            y = (1 - p) * x + p * y
        return path, x

    @pytest.mark.crossed
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("kept", [3, 6])
    def test_states_and_edit_are_those_of_a_transcription(self, kind, kept):
        world = tiny_world(kind, steps=STEPS, dtype=torch.float64)
        world = replace(world, guidance=cfg(guidance=self.SCALE))
        with torch.no_grad():
            path, edited = self.naive(world, kind, kept)
        (made,) = run(world.call(edict, strength=kept / STEPS, mix=self.P))
        wanted = torch.stack([torch.stack(pair) for pair in reversed(path)])
        torch.testing.assert_close(made.states, wanted, rtol=0, atol=float(1e-11 * wanted.abs().max()))
        (out,) = run(world.call(sample, trajectory=made))
        torch.testing.assert_close(out.data, edited, rtol=0, atol=float(1e-10 * edited.abs().max()))
        assert (out.data - world.latents.data).abs().max() > 0.1

    def test_a_network_in_float32_walks_nearly_the_same_way(self):
        wide, narrow = (
            replace(tiny_world(steps=STEPS, dtype=dtype), guidance=cfg(guidance=self.SCALE))
            for dtype in (torch.float64, torch.float32)
        )
        one, two = (run(world.call(edict))[0].states for world in (wide, narrow))
        assert two.dtype == torch.float64
        assert (one - two).norm() <= 1e-5 * one.norm()


def tiny_pipeline_world(pipe, steps, source, target) -> World:
    """The ports of a stage, made of a pipeline's own parts."""
    core = NetworkCore(UNet(pipe.unet), pipe.scheduler.config.prediction_type, attention_sites(pipe.unet.config))

    def prompt(text):
        ids = pipe.tokenizer(text, padding="max_length", max_length=24, truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            return Prompt(text, pipe.text_encoder(ids)[0][0])

    latents = Latents(Draws(0).tensor(4, 8, 8), Canvas(32, 32, 4))
    return World(Denoiser(core), latents, Edit(prompt(source), prompt(target), prompt("")), schedule(steps))


class Scheduler(DDIMScheduler):
    """LEDITS++ tells timesteps as floats, which this scheduler does not take."""

    def add_noise(self, original_samples, noise, timesteps):
        return super().add_noise(original_samples, noise, timesteps.long())


def tiny_pipeline(kind="epsilon"):
    """A random Stable Diffusion whose schedule is that of `retouch.testing.tiny`."""
    pipe = pipeline(prediction=kind)
    pipe.scheduler = Scheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=kind,
        steps_offset=1,
        set_alpha_to_one=False,
        clip_sample=False,
    )
    return pipe


class TestCycleDiffusion:
    """Wu & De la Torre 2022."""

    @pytest.mark.parametrize("eta", [0.1, 0.7])
    @pytest.mark.parametrize("scales", [(1.0, 3.0), (2.0, 5.0)])
    def test_every_latent_of_the_edit_is_that_of_diffusers_pipeline(self, eta, scales):
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
    def test_what_one_model_recorded_another_one_samples(self, kinds, dtype):
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
    from retouch.testing.tiny import tiny_core

    return tiny_core(kind, seed=2, dtype=dtype)


def moments(low, high, eta):
    """Standard deviation of a step's new noise, and what is left for the old: DDIM, eq. 16 and 12."""
    a_t, a_s = high[0] ** 2, low[0] ** 2
    new = eta * ((1 - a_s) / (1 - a_t) * (1 - a_t / a_s)) ** 0.5
    return new, (1 - a_s - new**2) ** 0.5


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


def walked(world: World, trajectory):
    """The latent of the edit after every step, by the loop that recipes use."""
    from retouch.api import Blend

    seen: list[Tensor] = []
    spy = Blend(lambda state, source, step, maps: (seen.append(state[0]), state)[1])
    run(world.call(sample, trajectory=trajectory, blend=(spy,)))
    return seen


class TestEditFriendly:
    """Huberman-Spiegelglas et al. 2023."""

    @pytest.mark.parametrize(("steps", "skip"), [(6, 0.5), (8, 0.0)])
    @pytest.mark.parametrize("scale", [1.5, 3.5])
    def test_noise_and_start_are_those_of_diffusers_ledits_pipeline(self, steps, skip, scale):
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
    def test_the_edit_is_that_of_a_transcription(self, kind, last_noise, dtype):
        kept, scales = 4, (3.5, 15.0)
        world = replace(tiny_world(kind, steps=STEPS, dtype=dtype), guidance=cfg(guidance=scales[1]))
        draws = drawn(kept).to(dtype)
        options = {"source_guidance": scales[0], "strength": kept / STEPS, "last_noise": last_noise}
        (made,) = run(world.call(edit_friendly, noise=Given(draws), **options))
        (out,) = run(world.call(sample, trajectory=made))
        wanted = self.naive(world, kind, kept, draws, scales, last_noise == "zero")
        assert (out.data - wanted).norm() <= (1e-5 if dtype == torch.float32 else 1e-10) * wanted.norm()

    @torch.no_grad()
    def naive(self, world, kind, kept, draws, scales, zero):
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


class TestFixedPoint:
    """AIDI (Pan et al. 2023) and ReNoise (Garibi et al. 2024)."""

    @staticmethod
    def tame(kind="epsilon") -> World:
        """A network whose answer moves little between guesses, as a trained one's does."""
        model = tiny_model(kind, dtype=torch.float64)
        model.core.module.conv_out.weight.data.mul_(0.2)
        return replace(tiny_world(kind, steps=STEPS, dtype=torch.float64), model=model)

    def naive(self, world, kind, solve, scale=1.0):
        """Every latent, cleanest first."""
        path = [world.latents.data]
        with torch.no_grad():
            for low, high in pairwise(grid(world)):

                def f(guess, x=path[-1], low=low, high=high):
                    eps = eps_of(world, kind, guess, high, world.edit.source, scale, world.edit.negative)
                    return high[0] * (x - low[1] * eps) / low[0] + high[1] * eps

                path.append(solve(f, path[-1], high[2]))
        return torch.stack(path[::-1])

    @staticmethod
    def anderson(f, x, t, rounds=4):
        """Weights by the Lagrange system of: least |sum w_i (f(x_i) - x_i)| with sum w_i = 1."""
        xs, fs = [x], []
        for _ in range(rounds):
            fs.append(f(xs[-1]))
            residuals = torch.stack([(a - b).flatten() for a, b in zip(fs, xs, strict=True)]).numpy()
            n = len(fs)
            system = np.ones((n + 1, n + 1))
            system[:n, :n], system[n, n] = residuals @ residuals.T / (residuals[-1] @ residuals[-1]), 0
            weights = np.linalg.solve(system, np.eye(n + 1)[n])[:n]
            xs.append(sum(float(w) * each for w, each in zip(weights, fs, strict=True)))
        return xs[-1]

    @staticmethod
    def empirical(f, x, t, rounds=4):
        before = x = f(x)
        for _ in range(rounds - 1):
            now = f(x)
            x, before = (now + before) / 2, now
        return x

    @staticmethod
    def picard(f, x, t, rounds=4):
        for _ in range(rounds):
            x = f(x)
        return x

    @staticmethod
    def renoise(f, x, t, rounds=7):
        seen = []
        for _ in range(min(rounds, 5) if t < 250 else rounds):
            x = f(x)
            seen.append(x)
        return sum(seen) / len(seen) if t < 250 else (seen[-1] + seen[-2]) / 2

    @pytest.mark.parametrize(
        ("solver", "kind", "scale"),
        [
            ("anderson", "epsilon", 1.0),
            ("anderson", "v_prediction", 2.0),
            ("empirical", "v_prediction", 1.0),
            ("picard", "epsilon", 2.0),
            ("renoise", "epsilon", 1.0),
            ("renoise", "v_prediction", 2.0),
        ],
    )
    def test_a_solver_is_its_transcription(self, kind, solver, scale):
        world, rounds = self.tame(kind), 7 if solver == "renoise" else 4
        (made,) = run(world.call(fixed_point, solver=solver, iterations=rounds, source_guidance=scale))
        wanted = self.naive(world, kind, getattr(self, solver), scale)
        torch.testing.assert_close(made.states[:, 0], wanted, rtol=0, atol=1e-8)

    def test_the_solvers_differ(self):
        world = self.tame()
        ends = [
            run(world.call(fixed_point, solver=solver, iterations=3))[0].states[0]
            for solver in ("anderson", "empirical", "picard", "renoise")
        ]
        for i, one in enumerate(ends):
            for other in ends[i + 1 :]:
                assert (one - other).abs().max() > 1e-6
