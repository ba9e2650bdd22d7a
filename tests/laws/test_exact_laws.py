"""Inversions that give the source back exactly, and those that solve for it, keep the laws of their family."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.api import unguided
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.gaussian import GaussianMixture
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.fixed_point import fixed_point
from retouch_methods.sample.sample import sample

EXACT = {"edict": edict, "cycle_diffusion": cycle_diffusion, "edit_friendly": edit_friendly}
SOLVERS = ["anderson", "empirical", "picard", "renoise"]
SCALE = 3.0
# How far the source may come back from itself where nothing is to change, in latents of unit variance.
DECLARED = {
    ("edict", torch.float64): 1e-12,
    ("edict", torch.float32): 2e-5,  # what the network itself rounds between calls of other sizes
    ("cycle_diffusion", torch.float64): 1e-12,
    ("cycle_diffusion", torch.float32): 2e-5,
    ("edit_friendly", torch.float64): 1e-12,
    ("edit_friendly", torch.float32): 2e-4,
}


def own_guidance(name, scale):
    """The option under which an inversion replays where the edit has this guidance; EDICT reads the edit's own."""
    return {} if name == "edict" else {"source_guidance": scale}


@pytest.mark.crossed
@pytest.mark.parametrize(("steps", "scale"), [(10, 1.0), (50, SCALE)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EXACT)
def test_nothing_to_change_gives_the_source_back_on_the_analytic_model(name, dtype, steps, scale):
    world = replace(gaussian_world(steps=steps, dtype=dtype), guidance=cfg(guidance=scale))
    tolerance = DECLARED[name, dtype]
    assert laws.replay_law(EXACT[name], world, tolerance=tolerance, **own_guidance(name, scale)) <= tolerance


@pytest.mark.crossed
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EXACT)
def test_nothing_to_change_gives_the_source_back_with_a_network_that_is_no_denoiser(name, dtype, kind):
    world = replace(tiny_world(kind, dtype=dtype), guidance=cfg(guidance=2.0))
    tolerance = DECLARED[name, dtype]
    assert laws.replay_law(EXACT[name], world, tolerance=tolerance, **own_guidance(name, 2.0)) <= tolerance


@pytest.mark.crossed
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("invert", "options"),
    [
        (edict, {}),
        (cycle_diffusion, {"source_guidance": 5.0}),
        (edit_friendly, {"last_noise": "zero"}),
        (fixed_point, {"pinned": "always", "iterations": 1}),
    ],
)
def test_the_source_branch_keeps_the_picture_bit_for_bit(invert, options, dtype, kind):
    for world in (gaussian_world(dtype=dtype), tiny_world(kind, dtype=dtype)):
        laws.source_law(invert, replace(world, guidance=cfg(guidance=SCALE)), **options)


@pytest.mark.parametrize("invert", [*EXACT.values(), fixed_point])
def test_a_walk_of_no_steps_is_the_picture(invert):
    world = gaussian_world()
    (made,) = run(world.call(invert, strength=0.0))
    assert len(made.schedule) == 0
    assert torch.equal(run(world.call(sample, trajectory=made))[0].data, world.latents.data)


@pytest.mark.crossed
@pytest.mark.parametrize("invert", [*EXACT.values(), fixed_point])
@pytest.mark.parametrize("strength", [0.3, 0.58, 1.0])
def test_a_walk_is_as_long_as_its_strength(invert, strength):
    world = gaussian_world(steps=50)
    (made,) = run(world.call(invert, strength=strength))
    assert len(made.schedule) == round(50 * strength)
    assert [step.progress for step in made.schedule] == [i / len(made.schedule) for i in range(len(made.schedule))]


GUIDED = replace(tiny_world(steps=5), guidance=cfg(guidance=SCALE))


@pytest.mark.crossed
@pytest.mark.parametrize("options", [{"strength": 1.0}, {"strength": 0.6}])
@pytest.mark.parametrize("scale", [1.0, SCALE])
@pytest.mark.parametrize("name", EXACT)
def test_an_exact_inversion_costs_what_it_says_and_no_more_than_the_survey(name, scale, options):
    world = replace(GUIDED, guidance=cfg(guidance=scale))
    guide = 1 if scale == 1 else 2
    rows = laws.rows_law(EXACT[name], world, facts={"guide": guide}, **own_guidance(name, scale), **options)
    most = 4 if name == "edict" else 2  # methods.md 16.3, with classifier-free guidance
    assert rows <= most * 5 * options["strength"]


@pytest.mark.crossed
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("options", [{}, {"source_guidance": SCALE}, {"iterations": 7, "strength": 0.6}])
def test_a_solver_costs_what_it_says(solver, options):
    laws.rows_law(fixed_point, GUIDED, solver=solver, **options)


@pytest.mark.parametrize("invert", [cycle_diffusion, edit_friendly])
def test_all_steps_of_a_recorded_walk_share_one_pass(invert):
    world = gaussian_world(steps=12)
    core = world.model.core
    assert isinstance(core, GaussianMixture)
    run(world.call(invert, strength=1.0, source_guidance=2.0))
    assert core.forwards == [24]


@pytest.mark.parametrize("invert", [*EXACT.values(), fixed_point])
def test_an_inversion_gives_the_same_bits_in_any_company(invert):
    world = replace(tiny_world(steps=3), guidance=cfg(guidance=2.0))
    laws.batch_law(lambda i: world.neighbour(i).call(invert), company=[lambda i: world.neighbour(9 + i).call(ddim)])


class TestEdict:
    """Coupled states, and what float64 holds."""

    @pytest.mark.parametrize("mix", [0.85, 0.93, 1.0])
    def test_it_is_exact_at_every_mix_that_is_taken(self, mix):
        world = replace(gaussian_world(steps=50), guidance=cfg(guidance=SCALE))
        assert laws.replay_law(edict, world, tolerance=1e-10, mix=mix) <= 1e-10

    def test_a_mix_of_one_lets_the_pair_part(self):
        world = gaussian_world(steps=50)
        apart = [
            float((pair[0] - pair[1]).norm())
            for (made,) in (run(world.call(edict, mix=mix, strength=1.0)) for mix in (0.93, 1.0))
            for pair in made.states[25:26]
        ]
        assert apart[0] != apart[1]

    @pytest.mark.parametrize(("steps", "mix"), [(200, 0.93), (90, 0.85)])
    def test_what_check_does_not_refuse_is_still_exact(self, steps, mix):
        world = gaussian_world(steps=steps)
        assert laws.replay_law(edict, world, tolerance=1e-7, mix=mix, strength=1.0) <= 1e-7


class TestCycleDiffusion:
    """The posterior chain of the picture."""

    @pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
    def test_it_is_exact_at_any_eta(self, eta):
        world = gaussian_world(dtype=torch.float32)
        laws.replay_law(cycle_diffusion, world, tolerance=1e-5, eta=eta)

    @pytest.mark.parametrize("eta", [0.1, 1.0])
    def test_every_state_has_the_noise_of_its_level(self, eta):
        """q(x_t | x0) is N(alpha x0, sigma**2) whatever eta: over many seeds, mean and variance are those."""
        world = gaussian_world(steps=5)
        picture = world.latents.data
        found = run(*(world.neighbour(0).call(
            cycle_diffusion, latents=world.latents, noise=replace(world.noise, seed=seed), eta=eta, strength=1.0
        ) for seed in range(200)))  # fmt: skip
        for i, step in enumerate(found[0].schedule):
            states = torch.stack([made.states[i, 0] for made in found])
            noise = (states - step.noisy.alpha * picture) / step.noisy.sigma
            assert float(noise.mean()) == pytest.approx(0, abs=0.02)
            assert float(noise.std()) == pytest.approx(1, abs=0.02)


def test_the_noises_of_neighbouring_levels_are_independent_in_edit_friendly_and_not_in_cycle_diffusion():
    world = gaussian_world(steps=10)
    picture = world.latents.data

    def correlation(invert):
        (made,) = run(world.call(invert, strength=1.0))
        noise = [
            ((state[0] - step.noisy.alpha * picture) / step.noisy.sigma).flatten()
            for state, step in zip(made.states, made.schedule, strict=False)
        ]
        return float(torch.corrcoef(torch.stack(noise[3:5]))[0, 1])

    assert abs(correlation(edit_friendly)) < 0.2
    assert correlation(cycle_diffusion) > 0.9


def test_a_last_noise_of_zero_is_what_keeps_the_authors_code_from_the_source():
    world = gaussian_world()
    kept, dropped = (
        laws.replay_law(edit_friendly, world, tolerance=1.0, source_guidance=1.0, last_noise=last)
        for last in ("recorded", "zero")
    )
    assert kept < 1e-12
    assert dropped > 1e-3


class TestFixedPoint:
    """Solvers of one equation."""

    @pytest.mark.parametrize("solver", ["anderson", "empirical", "picard"])
    @pytest.mark.parametrize("scale", [1.0, 2.0])
    def test_it_undoes_ddim_under_the_guidance_that_it_was_solved_for(self, solver, scale):
        world = replace(gaussian_world(steps=10), guidance=cfg(guidance=scale))
        options = {"solver": solver, "iterations": 50, "source_guidance": scale}
        assert laws.replay_law(fixed_point, world, tolerance=1e-9, **options) <= 1e-9

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_more_rounds_are_nearer(self, solver):
        few, many = (laws.replay_law(fixed_point, tolerance=1.0, solver=solver, iterations=n) for n in (1, 5))
        assert many < few / 5

    def test_anderson_is_ahead_of_picard_after_as_many_rounds(self):
        slow, fast = (
            laws.replay_law(fixed_point, gaussian_world(steps=20), tolerance=1.0, solver=solver, iterations=4)
            for solver in ("picard", "anderson")
        )
        assert fast < slow / 5

    def test_one_round_is_ddim_inversion_where_the_network_predicts_noise(self):
        world = tiny_world("epsilon", dtype=torch.float64)
        one, other = run(world.call(fixed_point, iterations=1), world.call(ddim))
        assert torch.allclose(one.states, other.states, atol=1e-12)

    def test_solved_without_guidance_it_drifts_under_guidance(self):
        world = gaussian_world(steps=20, apart=0.1)
        options = {"iterations": 10, "tolerance": 10.0}
        plain = laws.replay_law(fixed_point, replace(world, guidance=unguided), **options)
        assert laws.replay_law(fixed_point, replace(world, guidance=cfg(guidance=7.5)), **options) > 1e3 * plain
