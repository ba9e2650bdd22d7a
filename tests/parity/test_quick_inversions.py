"""SDEdit, negative-prompt, PnP and Direct Inversion, beside naive loops and diffusers."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from retouch.api import Blend, Mask, NegativePrompt, Schedule
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import tiny_model
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.blend.latent import latent
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.direct import direct
from retouch_methods.invert.negative_prompt import negative_prompt
from retouch_methods.invert.null_text import null_text
from retouch_methods.invert.pnp_inversion import pnp_inversion
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.sample.sample import sample
from tests.parity.by_papers import (
    SCALE,
    STEPS,
    Given,
    down,
    drawn,
    eps_of,
    grid,
    guided_world,
    moments,
    pivot,
    same,
    walked,
)
from tests.parity.pipelines import tiny_pipeline, tiny_pipeline_world

WORLDS = [("epsilon", torch.float32), ("v_prediction", torch.float64)]
worlds = pytest.mark.parametrize(("kind", "dtype"), WORLDS)


class TestGuidedDdim:
    """DDIM inversion under guidance, which PnPInversion's ablation has and MasaCtrl's demo."""

    @worlds
    def test_its_latents_are_those_of_a_naive_loop(self, kind, dtype):
        world = guided_world(kind, dtype, 7.5)
        (made,) = run(world.call(ddim, source_guidance=2.5))
        with torch.no_grad():
            same(made.states[:, 0], torch.stack(pivot(world, kind, 2.5)), dtype)


class TestNegativePrompt:
    """Miyake et al. 2023."""

    @pytest.mark.crossed
    @worlds
    @pytest.mark.parametrize("interpolation", [0.0, 0.3])
    def test_the_edit_is_that_of_a_naive_loop(self, kind, dtype, interpolation):
        world = guided_world(kind, dtype)
        source, empty = world.edit.source.embeds.double().numpy(), world.edit.negative.embeds.double().numpy()
        angle = math.acos((source * empty).sum() / np.linalg.norm(source) / np.linalg.norm(empty))
        arc = (math.sin((1 - interpolation) * angle) * source + math.sin(interpolation * angle) * empty) / math.sin(
            angle
        )
        away = NegativePrompt("", torch.from_numpy(arc).to(dtype))
        (made,) = run(world.call(negative_prompt, interpolation=interpolation))
        with torch.no_grad():
            x, levels = pivot(world, kind)[0], grid(world)[::-1]
            for mine, (high, low) in zip(walked(world, made), pairwise(levels), strict=True):
                x = down(x, eps_of(world, kind, x, high, world.edit.target, SCALE, away), high, low)
                same(mine, x, dtype)


class TestFinerGrid:
    """Plug-and-Play: DDIM inversion through every trained timestep, and a few of its latents for sampling."""

    TRAINED, STEPS = 60, 6

    def world(self):
        betas = torch.linspace(0.0015**0.5, 0.12**0.5, self.TRAINED, dtype=torch.float64) ** 2
        walk = Schedule.ddim((1 - betas).cumprod(0).tolist(), self.STEPS)
        return replace(tiny_world(dtype=torch.float64), schedule=walk), (1 - betas).cumprod(0)

    def naive(self, world, alphas):
        """The authors' ddim_inversion with as many steps as are trained but one; {timestep: latent} of those saved."""
        x, saved = world.latents.data, {}
        for t in range(1, self.TRAINED):
            now, before = alphas[t], alphas[t - 1] if t > 1 else alphas[0]
            eps = eps_of(world, "epsilon", x, (0, 0, t), world.edit.source)
            clean = (x - (1 - before) ** 0.5 * eps) / before**0.5
            x = now**0.5 * clean + (1 - now) ** 0.5 * eps
            saved[t] = x
        return torch.stack([*(saved[t] for t in (51, 41, 31, 21, 11, 1)), world.latents.data])

    @pytest.mark.thorough
    def test_the_latents_are_those_that_the_authors_save(self):
        world, alphas = self.world()
        (made,) = run(world.call(ddim, parts=10))
        with torch.no_grad():
            wanted = self.naive(world, alphas)
        same(made.states[:, 0], wanted, torch.float64)
        assert [step.noisy.timestep for step in made.schedule] == [51, 41, 31, 21, 11, 1]
        assert laws.rows_law(ddim, world, parts=10) == 51
        assert laws.rows_law(ddim, world, parts=10, strength=0.5) == 21

    @pytest.mark.thorough
    def test_more_parts_than_timesteps_are_all_timesteps(self):
        world, _ = self.world()
        (all_,), (more,) = run(world.call(ddim, parts=10)), run(world.call(ddim, parts=1000))
        assert torch.equal(all_.states, more.states)

    def test_the_finer_the_grid_the_nearer_its_end_is_to_where_the_ode_leads(self):
        world = gaussian_world(steps=10)
        noisy, *_, clean = world.schedule.levels
        wanted = world.model.core.flow(world.latents.data, clean, noisy, component=0)
        made = run(*(world.call(ddim, parts=parts) for parts in (1, 4, 100)))
        missed = [float((each.states[0, 0] - wanted).abs().max()) for each in made]
        assert missed[0] > 2 * missed[1] > 4 * missed[2]

    def test_levels_of_no_list_cannot_be_divided(self):
        with pytest.raises(ValueError, match="no list of trained levels"):
            run(replace(self.world()[0], schedule=Schedule.flow(4)).call(ddim, parts=2))


class TestPnpInversion:
    """Ju et al. 2023, with the offsets of the authors' code."""

    @pytest.mark.crossed
    @worlds
    @pytest.mark.parametrize(("scale", "every"), [(1.0, 1), (0.4, 1), (1.0, 2)])
    @pytest.mark.parametrize("edited", ["free", "offset"])
    def test_both_rows_are_those_of_the_authors_loop(self, kind, dtype, scale, every, edited):
        world = guided_world(kind, dtype)
        edit, levels = world.edit, grid(world)[::-1]
        (made,) = run(world.call(pnp_inversion, scale=scale, every=every, edited=edited))
        with torch.no_grad():
            goals = pivot(world, kind)
            x = y = goals[0]
            rows = zip(made.states[1:, 0], walked(world, made), pairwise(levels), goals[1:], strict=True)
            for i, (source, target, (high, low), goal) in enumerate(rows):
                x = down(x, eps_of(world, kind, x, high, edit.source, SCALE, edit.negative), high, low)
                y = down(y, eps_of(world, kind, y, high, edit.target, SCALE, edit.negative), high, low)
                offset = scale * (goal - x) if i % every == 0 else torch.zeros_like(x)
                x, y = x + offset, y + (offset if edited == "offset" else 0)
                same(source, x, dtype)
                same(target, y, dtype)


class TestDirect:
    """Elarabawy et al. 2022."""

    @pytest.mark.crossed
    @worlds
    @pytest.mark.parametrize("noise", ["end", "step"])
    @pytest.mark.parametrize("up", ["even", "official"])
    def test_walk_noises_and_edit_are_those_of_a_naive_loop(self, kind, dtype, noise, up):
        world = guided_world(kind, dtype)
        edit, levels, share, first = world.edit, grid(world), 0.6, 3
        (made,) = run(world.call(direct, share=share, injected=first, noise=noise, grid=up))
        # The authors' code begins at the first noisy level, and its last step leads nowhere.
        way = levels if up == "even" else [*levels[1:], levels[-1]]
        with torch.no_grad():
            x, noises = world.latents.data, []
            for low, high in pairwise(way):
                noises.append(eps_of(world, kind, x, low, edit.negative))
                x = down(x, noises[-1], low, high)
            same(made.states[0, 0], x, dtype)
            end = x
            for i, (mine, (high, low)) in enumerate(zip(walked(world, made), pairwise(levels[::-1]), strict=True)):
                eps = eps_of(world, kind, x, high, edit.target, SCALE, edit.negative)
                if i < first:
                    eps = eps + share * ((end if noise == "end" else noises[STEPS - i - 1]) - eps)
                x = down(x, eps, high, low)
                same(mine, x, dtype)

    def test_words_of_the_source_make_it_the_source_convention_of_ddim(self):
        world = tiny_world(steps=STEPS)
        one, two = run(world.call(direct, words="source"), world.call(ddim, convention="source"))
        same(one.states, two.states, torch.float32)


class TestSdedit:
    """Meng et al. 2021, as Stable Diffusion's image-to-image has it."""

    @pytest.mark.parametrize(("scale", "kept"), [(3.0, 6), (7.5, 10)])
    def test_the_edit_is_that_of_diffusers_image_to_image(self, scale, kept):
        from diffusers import StableDiffusionImg2ImgPipeline

        steps, pipe, seen = 10, tiny_pipeline(), []
        world = tiny_pipeline_world(pipe, steps, "a white cat", "a black dog")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            there = StableDiffusionImg2ImgPipeline(
                pipe.vae, pipe.text_encoder, pipe.tokenizer, pipe.unet, pipe.scheduler, None, None, None, False
            )
            there.set_progress_bar_config(disable=True)
            there(
                prompt="a black dog",
                image=world.latents.data[None],
                strength=kept / steps,
                num_inference_steps=steps,
                guidance_scale=scale,
                generator=torch.Generator().manual_seed(1),
                output_type="latent",
                callback_on_step_end=lambda pipe, i, t, told: (seen.append(told["latents"][0]), told)[1],
            )
        assert len(seen) == kept
        noise = Given(torch.cat((drawn(1), torch.zeros(2 * kept - 1, 4, 8, 8))))
        (made,) = run(world.call(sdedit, noise=noise, strength=kept / steps))
        for mine, wanted in zip(walked(replace(world, guidance=cfg(guidance=scale)), made), seen, strict=True):
            same(mine, wanted, torch.float32)

    @worlds
    @pytest.mark.parametrize("eta", [0.5, 1.0])
    def test_the_stochastic_edit_is_a_naive_ancestral_loop(self, kind, dtype, eta):
        kept = 3
        world = guided_world(kind, dtype)
        draws, levels = drawn(2 * kept).to(dtype), grid(world, kept)[::-1]
        (made,) = run(world.call(sdedit, noise=Given(draws), strength=kept / STEPS, eta=eta))
        with torch.no_grad():
            x = levels[0][0] * world.latents.data + levels[0][1] * draws[0]
            for mine, z, (high, low) in zip(walked(world, made), draws[kept:], pairwise(levels), strict=True):
                eps = eps_of(world, kind, x, high, world.edit.target, SCALE, world.edit.negative)
                new, old = moments(low, high, eta)
                x = low[0] * (x - high[1] * eps) / high[0] + old * eps + new * z
                same(mine, x, dtype)

    @pytest.mark.parametrize("draws", ["one", "each"])
    def test_what_a_blend_keeps_is_the_source_noised_to_each_level(self, draws):
        world, given = tiny_world(steps=STEPS), drawn(2 * STEPS)
        (made,) = run(world.call(sdedit, noise=Given(given), strength=1.0, draws=draws))
        for i, (state, (alpha, sigma, _)) in enumerate(zip(made.states[:-1, 0], grid(world)[:0:-1], strict=True)):
            wanted = alpha * world.latents.data + sigma * given[i if draws == "each" else 0]
            same(state, wanted, torch.float32)


class TestNullText:
    """What the authors' code adds to the paper's algorithm."""

    @pytest.mark.thorough
    def test_without_the_growing_threshold_every_inner_step_is_taken(self):
        world = replace(guided_world("epsilon", torch.float64), model=tiny_model(dtype=torch.float64))
        world.model.core.module.conv_out.weight.data.mul_(0.01)  # so that a threshold is soon met
        ends = {}
        for growth in (0.0, 1.0):
            (made,) = run(world.call(null_text, inner_steps=3, stop=0.0, stop_growth=growth))
            ends[growth] = torch.stack([prompt.embeds for prompt in made.rule.negatives])
        assert torch.equal(ends[0.0][0], ends[1.0][0])
        assert not torch.allclose(ends[0.0][1:], ends[1.0][1:], atol=1e-6)


class TestBlendedLatentDiffusion:
    """Avrahami et al. 2023, as their script for Stable Diffusion 2 runs it."""

    SKIPPED, STEPS = 0.25, 8

    def naive(self, world, mask, start, draws):
        """From noise alone, a quarter of the steps late; after each, the source at the level before under new noise."""
        edit, x = world.edit, start
        levels = grid(world, self.STEPS)[::-1][int(self.STEPS * self.SKIPPED) :]
        for draw, (high, low) in zip(draws, pairwise(levels), strict=True):
            x = down(x, eps_of(world, "epsilon", x, high, edit.target, SCALE, edit.negative), high, low)
            noised = high[0] * world.latents.data + high[1] * draw
            x = x * mask + noised * (1 - mask)
        return x

    def test_an_edit_from_noise_under_a_mask_is_that_of_the_authors_script(self):
        world = replace(tiny_world(steps=self.STEPS, dtype=torch.float64), guidance=cfg(guidance=SCALE))
        kept = self.STEPS - int(self.STEPS * self.SKIPPED)
        draws = drawn(2 * kept + 1).double()
        mask = (torch.arange(64).view(8, 8) % 3 == 0).double()
        blend = world.call(latent, mask=Mask(mask, 4), level="one_late")

        def edited(**options):
            options = {"strength": kept / self.STEPS, "draws": "each", "begin": "noise", **options}
            noise = Given(draws if options["begin"] == "noise" else draws[:-1])
            (made,) = run(world.call(sdedit, noise=noise, **options))
            return run(world.call(sample, trajectory=made, blend=(blend,)))[0].data

        with torch.no_grad():
            wanted = self.naive(world, mask, draws[-1], draws[:kept])
        assert (edited() - wanted).norm() <= 1e-10 * wanted.norm()
        for other in ({"begin": "noised"}, {"draws": "one"}):
            assert (edited(**other) - wanted).norm() > 1e-3 * wanted.norm()

    def test_the_source_branch_begins_at_the_noised_source_all_the_same(self):
        """A control has to see the picture."""
        world = guided_world("epsilon", torch.float64)
        made, other = run(*(world.call(sdedit, begin=each) for each in ("noised", "noise")))
        assert torch.equal(made.states, other.states)
        seen = []
        spy = Blend(lambda state, source, step, maps: (seen.append(source[0]), state)[1], late=True)
        run(world.call(sample, trajectory=other, blend=(spy,)))
        assert torch.equal(seen[0], made.states[0, 0])
