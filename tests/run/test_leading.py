"""Guidance by gradient in whole walks: it begins again where a loss asks for it, and leads what a turn has made."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251  what is pickled is our own
from dataclasses import replace

import pytest
import torch

from retouch.core.gradient_guidance import Loss, Predicted, Restart, with_loss
from retouch.core.guidance import unguided
from retouch.core.schedule import Schedule
from retouch.core.solvers import Fresh
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import TinyCodec
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.range import within
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.sample.sample import sample
from retouch_methods.solver.ddim import ddpm
from tests.e2e.command import draw
from tests.e2e.sessions import graphs

WORLD = tiny_world(steps=4)


def walked(loss, world=WORLD, solver=None):
    """What a walk led by a loss comes to."""
    (trajectory,) = run(world.call(sdedit, strength=1.0))
    led = with_loss(unguided, Loss(loss, 1.0), world.codec)
    (latents,) = run(replace(world, guidance=led).call(sample, trajectory=trajectory, solver=solver))
    return latents.data


def asking(times: int, heard: list[tuple[int, torch.Tensor]]):
    """A loss that asks so often for another walk, and keeps where each of them began."""

    async def loss(seen: Predicted) -> torch.Tensor:
        if len(heard) == seen.attempt:
            heard.append((seen.attempt, seen.x.detach().clone()))
        if seen.attempt < times:
            raise Restart
        return seen.x0.square().mean()

    return loss


def test_a_walk_that_begins_again_has_other_noise_and_is_the_same_when_asked_again():
    heard: list[tuple[int, torch.Tensor]] = []
    first = walked(asking(2, heard))
    assert [attempt for attempt, _ in heard] == [0, 1, 2]
    begun = [x for _, x in heard]
    assert not torch.equal(begun[0], begun[1])
    assert not torch.equal(begun[1], begun[2])
    assert not torch.equal(first, walked(asking(0, [])))
    assert torch.equal(first, walked(asking(2, [])))


class TooBright(TinyCodec):
    """A codec whose pictures are brighter than white everywhere."""

    def decode_freely(self, latents: torch.Tensor) -> torch.Tensor:
        return super().decode_freely(latents) + 2


def test_range_asks_as_often_as_it_may_and_then_goes_on():
    (trajectory,) = run(WORLD.call(sdedit, strength=1.0))
    codec, ends = TooBright(len(WORLD.latents.data), WORLD.latents.canvas.scale), []
    for attempts in (1, 2, 3):
        led = WORLD.call(within, guidance=unguided, codec=codec, attempts=attempts)
        ends += run(replace(WORLD, guidance=led).call(sample, trajectory=trajectory))
    assert not torch.equal(ends[0].data, ends[1].data)
    assert not torch.equal(ends[1].data, ends[2].data)


@pytest.mark.parametrize("first", [1, 3])
def test_a_first_step_is_taken_as_often_as_ddpm_says(first):
    (trajectory,) = run(WORLD.call(ddim))
    solver = WORLD.call(ddpm, first=first)
    facts = {"evaluations": 1, "guide": 1, "pinned": True, "predictions": 1, "extra": first - 1}
    assert laws.rows_law(sample, WORLD, facts=facts, trajectory=trajectory, solver=solver) == 4 + first - 1
    assert isinstance(solver, Fresh) == (first == 1)


def test_steps_that_are_taken_again_change_the_walk():
    ends = [walked(asking(0, []), solver=WORLD.call(ddpm, first=first)) for first in (1, 3)]
    assert not torch.equal(*ends)


TURNS = [
    'invert ddim "cat"->"dog" | guide image_text | mask box right=50% | blend latent',  # the mask stands behind it
    'invert null_text "cat"->"dog" | guide image_text | mask box right=50% | blend latent',  # guidance is wanted early
    'guide image_text | guide cfg guidance=2 | invert ddim "cat"->"dog" | mask box right=50% | blend latent',
]


@pytest.mark.parametrize("turn", TURNS)
def test_what_leads_gets_the_mask_of_its_turn_and_the_guidance_wherever_they_stand(turn, tmp_path):
    draw(tmp_path / "cat.png")
    (graph,) = graphs(f'open "cat.png" caption="a cat" | {turn} | save "o.png"', [], tmp_path)
    led = next(node for node in graph.nodes if node.card.name == "guide image_text")
    by = {port: graph.node(edge.id).card.name for port, edge in led.edges() if hasattr(edge, "id")}
    assert by["mask"] == "mask box"
    assert by["guidance"] == "guide cfg"
    sampled = next(node for node in graph.nodes if node.card.family == "sample")
    assert graph.node(sampled.inputs["guidance"].id) is led
    if inverted := next((node for node in graph.nodes if node.card.name == "invert null_text"), None):
        assert graph.node(inverted.inputs["guidance"].id).card.name == "guide cfg"


def test_a_walk_of_a_thousand_steps_can_be_copied_and_sent():
    levels = copy.deepcopy(Schedule.flow(1000)).levels
    assert levels[0].clean == levels[1]
    assert levels[-1].clean is None
    assert len(pickle.loads(pickle.dumps(levels))) == 1001
