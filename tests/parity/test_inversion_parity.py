"""Inversions give what the papers' loops give, written out naively around the same network."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMInverseScheduler

from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.tiny import tiny_model
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.null_text import null_text

STEPS, SCALE = 6, 7.5


def ask(world: World, x, timestep, embeds):
    """The raw network, one row."""
    unet = world.model.core.module
    return unet(x[None], torch.tensor([float(timestep)]), encoder_hidden_states=embeds[None]).sample[0]


def noise_in(world: World, kind, x, alpha, sigma, timestep, embeds):
    """(x0, eps)."""
    out = ask(world, x, timestep, embeds)
    return ((x - sigma * out) / alpha, out) if kind == "epsilon" else (alpha * x - sigma * out, alpha * out + sigma * x)


def grid(world: World):
    """[(alpha, sigma, timestep)], cleanest first."""
    return [(level.alpha, level.sigma, level.timestep) for level in reversed(world.schedule.levels)]


@pytest.mark.parametrize(
    ("kind", "convention"),
    [("epsilon", "target"), ("epsilon", "target_diffusers"), ("v_prediction", "target_diffusers")],
)
def test_the_target_convention_is_diffusers_inverse_scheduler(kind, convention):
    world = tiny_world(kind, steps=STEPS)
    inverse = DDIMInverseScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=kind,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    inverse.set_timesteps(STEPS)
    x, path = world.latents.data, [world.latents.data]
    with torch.no_grad():
        for t in inverse.timesteps:
            x = inverse.step(ask(world, x, t, world.edit.source.embeds), int(t), x).prev_sample
            path.append(x)
    (made,) = run(world.call(ddim, convention=convention))
    for mine, wanted in zip(made.states[:, 0], path[::-1], strict=True):
        assert (mine - wanted).norm() <= 1e-5 * wanted.norm()


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("convention", ["target", "source", "target_diffusers"])
def test_the_conventions_are_naive_loops(kind, convention):
    world = tiny_world(kind, steps=STEPS, dtype=torch.float64)
    x, path = world.latents.data, [world.latents.data]
    with torch.no_grad():
        for (alpha, sigma, t), (to_alpha, to_sigma, to_t) in pairwise(grid(world)):
            asked = t if convention == "source" else to_t
            read_as = (to_alpha, to_sigma) if convention == "target" else (alpha, sigma)
            _, eps = noise_in(world, kind, x, *read_as, asked, world.edit.source.embeds)
            x = to_alpha * (x - sigma * eps) / alpha + to_sigma * eps
            path.append(x)
    (made,) = run(world.call(ddim, convention=convention))
    torch.testing.assert_close(made.states[:, 0], torch.stack(path[::-1]), rtol=0, atol=1e-10)


def test_the_conventions_differ():
    world = tiny_world(steps=STEPS)
    target, source = run(world.call(ddim), world.call(ddim, convention="source"))
    assert (target.states[0] - source.states[0]).abs().max() > 1e-3


def test_diffusers_reading_differs_where_the_network_predicts_velocity():
    for kind in ("epsilon", "v_prediction"):
        world = tiny_world(kind, steps=STEPS, dtype=torch.float64)
        ours, theirs = run(*(world.call(ddim, convention=name) for name in ("target", "target_diffusers")))
        assert ((ours.states[0] - theirs.states[0]).abs().max() > 1e-3) == (kind == "v_prediction")


@pytest.mark.thorough
def test_the_fixed_point_is_a_naive_iteration_and_solves_its_equation():
    """With a network whose answer moves little, as a trained one's does between neighbouring levels."""
    world = replace(tiny_world(steps=STEPS, dtype=torch.float64), model=tiny_model(dtype=torch.float64))
    world.model.core.module.conv_out.weight.data.mul_(0.05)
    embeds, rounds = world.edit.source.embeds, 4
    x, path = world.latents.data, [world.latents.data]
    with torch.no_grad():
        for (alpha, sigma, _), (to_alpha, to_sigma, to_t) in pairwise(grid(world)):

            def reached(eps, x=x, alpha=alpha, sigma=sigma, to_alpha=to_alpha, to_sigma=to_sigma):
                return to_alpha * (x - sigma * eps) / alpha + to_sigma * eps

            guess = reached(ask(world, x, to_t, embeds))
            for _ in range(rounds):
                guess = reached(ask(world, guess, to_t, embeds))
            x = guess
            path.append(x)
    (made,) = run(world.call(ddim, convention="fixed_point", iterations=rounds))
    torch.testing.assert_close(made.states[:, 0], torch.stack(path[::-1]), rtol=0, atol=1e-10)
    (solved,) = run(world.call(ddim, convention="fixed_point", iterations=15))
    with torch.no_grad():
        for i, step in enumerate(world.schedule):
            eps = ask(world, solved.states[i, 0], step.noisy.timestep, embeds)
            torch.testing.assert_close(
                step.carry(solved.states[i, 0], step.noisy.seen_as(solved.states[i, 0], eps)),
                solved.states[i + 1, 0],
                rtol=0,
                atol=1e-9,
            )


def naive_null_text(world: World, *, outer, inner, lr_of, stop):
    """Mokady et al. 2022, alg. 1, as the authors' code has it, with torch's own Adam."""
    null, embeds, levels = world.edit.negative.embeds[None], world.edit.source.embeds, grid(world)
    unet = world.model.core.module
    x, path = world.latents.data, [world.latents.data]
    with torch.no_grad():
        for (alpha, sigma, _), (to_alpha, to_sigma, to_t) in pairwise(levels):
            eps = ask(world, x, to_t, embeds)
            x = to_alpha * (x - sigma * eps) / alpha + to_sigma * eps
            path.append(x)
    path, levels, found, rounds = path[::-1], levels[::-1], [], []
    x = path[0]
    for i in range(outer):
        (alpha, sigma, t), (to_alpha, to_sigma, _) = levels[i], levels[i + 1]

        def moved(uncond, cond, x, alpha=alpha, sigma=sigma, to_alpha=to_alpha, to_sigma=to_sigma):
            eps = uncond + SCALE * (cond - uncond)
            return to_alpha * (x - sigma * eps) / alpha + to_sigma * eps

        null = null.clone().detach().requires_grad_()
        adam = torch.optim.Adam([null], lr=lr_of(i))
        timestep = torch.tensor([float(t)])
        with torch.no_grad():
            cond = ask(world, x, t, embeds)
        rounds.append(0)
        for _ in range(inner):
            rounds[-1] += 1
            uncond = unet(x[None], timestep, encoder_hidden_states=null).sample[0]
            loss = (moved(uncond, cond, x) - path[i + 1]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            if loss < stop + 2e-5 * i:
                break
        with torch.no_grad():
            x = moved(unet(x[None], timestep, encoder_hidden_states=null).sample[0], cond, x)
        found.append(null.detach()[0])
    return torch.stack(found), rounds


DECAYS = {"steps": lambda i: 1e-2 * (1 - i / (2 * STEPS)), "official": lambda i: 1e-2 * (1 - i / 100)}


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_null_text_embeddings_are_those_of_a_transcription(decay, dtype):
    world = replace(tiny_world(steps=STEPS, dtype=dtype), guidance=cfg(guidance=SCALE))
    (made,) = run(world.call(null_text, inner_steps=4, decay=decay))
    wanted, rounds = naive_null_text(world, outer=3, inner=4, lr_of=DECAYS[decay], stop=1e-5)
    mine = torch.stack([prompt.embeds for prompt in made.rule.negatives[:3]])
    assert rounds == [4, 4, 4]
    assert (wanted - world.edit.negative.embeds).abs().max() > 0.01
    assert (mine - wanted).norm() <= (1e-4 if dtype == torch.float32 else 1e-9) * wanted.norm()


@pytest.mark.thorough
def test_null_text_stops_early_where_the_authors_code_does():
    model = tiny_model(dtype=torch.float64)
    world = replace(tiny_world(steps=STEPS, dtype=torch.float64), model=model, guidance=cfg(guidance=SCALE))
    world.model.core.module.conv_out.weight.data.mul_(0.1)  # guidance then leads astray by little
    options = {"inner": 8, "lr_of": lambda i: 50 * DECAYS["steps"](i), "stop": 0.03}
    wanted, rounds = naive_null_text(world, outer=STEPS, **options)
    executor, task = Executor(), Task(lambda: world.call(null_text, inner_steps=8, lr=0.5, stop=0.03))
    executor.run([task])
    mine = torch.stack([prompt.embeds for prompt in task.result.rule.negatives])
    assert (mine - wanted).norm() <= 1e-9 * wanted.norm()
    assert [call.kind for call in executor.calls].count("backward") == sum(rounds)
    assert len(set(rounds)) > 2


@pytest.mark.thorough
def test_the_two_decays_differ():
    world = replace(tiny_world(steps=STEPS), guidance=cfg(guidance=SCALE))
    one, two = run(*(world.call(null_text, inner_steps=2, decay=decay) for decay in DECAYS))
    assert not torch.allclose(one.rule.negatives[-1].embeds, two.rule.negatives[-1].embeds, atol=1e-4)
