"""Grad mode belongs to the thread, so to every other picture: nobody may hold it across an await."""

from __future__ import annotations

import pytest
import torch

from retouch.api import value_and_grad
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from tests.run.asking import ask


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (torch.enable_grad, "use value_and_grad"),
        (lambda: torch.autocast("cpu"), "autocast"),
        (torch.inference_mode, "inference-mode"),
    ],
    ids=["grad", "autocast", "inference"],
)
def test_a_mode_held_across_an_await_is_refused_for_that_picture_alone(world, mode, said):
    async def leaky():
        with mode():
            await ask(world)

    async def differentiated(x):
        return (await world.model(x, world.schedule.steps[0].noisy, world.edit.source)).x0.square().mean()

    x = world.latents.data
    tasks = [Task(leaky), Task(lambda: value_and_grad(differentiated, x)), Task(leaky)]
    Executor().run(tasks)
    assert [said in str(task.error) for task in tasks] == [True, False, True]
    assert tasks[1].error is None
    assert tasks[1].result.grads[0].abs().max() > 0
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_stages_run_without_gradients(world):
    async def look():
        return torch.is_grad_enabled(), (await ask(world)).x0.requires_grad, torch.is_grad_enabled()

    assert run(look()) == [(False, False, False)]
