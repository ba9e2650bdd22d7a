"""A solver of the turn takes the steps of any trajectory that any rule may walk; the source stays the source."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.api import Blend, Ddim, DpmPlusPlus2M, Fresh, Heun, NoiseSource, walked_by
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.blend.latent import latent
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.direct import direct
from retouch_methods.invert.negative_prompt import negative_prompt
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import p2p

SOLVERS = [Ddim(), Heun(), DpmPlusPlus2M(), Fresh(Ddim(1.0), NoiseSource(3))]
ANY = [ddim, negative_prompt, direct, sdedit]
WORLD = replace(tiny_world(steps=5), guidance=cfg(guidance=3.0))


def sampled(trajectory, solver, world=WORLD, **ports):
    return run(world.call(sample, trajectory=trajectory, solver=solver, **ports))[0].data


@pytest.mark.parametrize("invert", ANY)
def test_its_own_rule_makes_the_same_bits(invert):
    (trajectory,) = run(WORLD.call(invert))
    assert torch.equal(sampled(trajectory, None), sampled(trajectory, Ddim()))


@pytest.mark.crossed
@pytest.mark.parametrize("invert", ANY)
@pytest.mark.parametrize("solver", SOLVERS[1:], ids=lambda rule: type(rule).__name__)
def test_another_rule_makes_another_edit_and_the_blend_still_gives_the_source_back(invert, solver):
    (trajectory,) = run(WORLD.call(invert))
    assert not torch.equal(sampled(trajectory, None), sampled(trajectory, solver))
    nowhere = replace(WORLD, mask=replace(WORLD.mask, data=0 * WORLD.mask.data))
    kept = sampled(trajectory, solver, blend=(nowhere.call(latent),))
    assert torch.equal(kept, WORLD.latents.data)


def test_what_a_multistep_rule_remembers_of_a_source_is_the_source():
    (trajectory,) = run(WORLD.call(ddim))
    states = walked_by(trajectory, DpmPlusPlus2M()).states
    assert states.shape == (6, 2, *WORLD.latents.data.shape)
    assert all(torch.equal(state[1], WORLD.latents.data) for state in states)
    seen = []
    spy = Blend(lambda state, source, step, maps: (seen.append((state.shape, source.shape)), state)[1])
    sampled(trajectory, DpmPlusPlus2M(), attend=(p2p(),), blend=(spy,))
    assert set(seen) == {((2, 4, 8, 8), (2, 4, 8, 8))}


def test_what_was_recorded_stays_round_the_new_rule():
    (trajectory,) = run(WORLD.call(negative_prompt))
    moved = walked_by(trajectory, Heun()).rule
    assert type(moved) is type(trajectory.rule)
    assert moved.rule == Heun()
    assert moved.negatives == trajectory.rule.negatives


@pytest.mark.parametrize(("solver", "asked"), [(Ddim(), 1), (Heun(), 2), (DpmPlusPlus2M(), 1)])
def test_rows_are_the_solvers(solver, asked):
    (trajectory,) = run(WORLD.call(ddim))
    task = Task(lambda: WORLD.call(sample, trajectory=trajectory, solver=solver))
    Executor().run([task])
    assert task.rows == 5 * 2 * asked


def test_higher_orders_come_nearer_to_where_the_ode_leads():
    world = gaussian_world(steps=20)
    world = replace(world, edit=replace(world.edit, target=world.edit.source))
    (trajectory,) = run(world.call(sdedit, strength=1.0))
    start, core = trajectory.schedule.levels[0], world.model.core
    end = trajectory.schedule.levels[-1]
    wanted = core.flow(trajectory.states[0, 0], start, end, 0)
    missed = {type(rule).__name__: (sampled(trajectory, rule, world) - wanted).norm() for rule in SOLVERS[:3]}
    assert missed["Heun"] < missed["Ddim"] / 3
    assert missed["DpmPlusPlus2M"] < missed["Ddim"]


def test_new_noise_is_the_same_twice_and_none_at_eta_0():
    (trajectory,) = run(WORLD.call(ddim))
    drawn = [sampled(trajectory, Fresh(Ddim(1.0), NoiseSource(seed))) for seed in (3, 3, 4)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(sampled(trajectory, Fresh(Ddim(0.0), NoiseSource(3), 0.0)), sampled(trajectory, None))
