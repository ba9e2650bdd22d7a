"""One picture's failure is its own, whatever failed and wherever."""

from __future__ import annotations

import gc
import signal
from dataclasses import replace

import pytest
import torch

from retouch.api import AttentionControl, SiteCall, Touch, call, gather, together, value_and_grad
from retouch.run.batching import Buckets
from retouch.run.executor import Executor, run
from retouch.run.task import Skipped, Task
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import p2p
from tests.run.asking import ask, patient


def test_one_that_raises_leaves_the_others(world):
    async def bad():
        await ask(world)
        raise ValueError("bad picture")

    tasks = [Task(lambda: ask(world)), Task(bad), Task(lambda: ask(world, 1.0))]
    Executor().run(tasks)
    assert [type(task.error) for task in tasks] == [type(None), ValueError, type(None)]
    assert tasks[0].result is not None


def test_one_that_raises_at_once_leaves_the_others(world):
    def bad():
        raise KeyError("no such file")

    tasks = [Task(bad), Task(lambda: ask(world))]
    Executor().run(tasks)
    assert isinstance(tasks[0].error, KeyError)
    assert tasks[1].error is None


def test_what_needs_it_is_skipped_and_names_the_first_cause():
    def bad():
        raise ValueError("bad picture")

    first = Task(bad)
    second = Task(lambda _: 1, after=(first,))
    third = Task(lambda _: 1, after=(second,))
    Executor().run([third, second, first])
    assert isinstance(second.error, Skipped)
    assert isinstance(third.error, Skipped)
    assert third.error.cause is first.error


def test_the_traceback_keeps_the_line_of_the_stage(world):
    async def deep():
        await ask(world)
        raise ValueError("here")

    async def outer():
        await gather([deep()])

    task = Task(outer)
    Executor().run([task])
    assert task.error
    names, at = [], task.error.__traceback__
    while at:
        names.append(at.tb_frame.f_code.co_name)
        at = at.tb_next
    assert names[-1] == "deep"


@pytest.mark.parametrize("fixed", [None, 16])
def test_a_control_that_raises_kills_its_own_picture_only(fixed):
    def bad(attn: SiteCall) -> None:
        raise ValueError("bad control")

    world = replace(tiny_world(steps=3), guidance=cfg(guidance=3.0))
    (made,) = run(world.call(ddim, pinned="always"))
    broken = AttentionControl(((Touch("cross", "transform", "probs"), bad),))

    def edit(control):
        return world.call(sample, trajectory=made, attend=(control,))

    tasks = [Task(lambda control=control: edit(control)) for control in (p2p(), broken, p2p())]
    executor = Executor(Buckets(fixed=fixed))
    executor.run(tasks)
    (alone,) = run(edit(p2p()), buckets=Buckets(fixed=fixed))
    assert [type(task.error) for task in tasks] == [type(None), ValueError, type(None)]
    for task in (tasks[0], tasks[2]):
        torch.testing.assert_close(task.result.data, alone.data, rtol=0, atol=0 if fixed else 1e-4)


def test_a_batched_function_that_fails_for_one_answers_the_others():
    def picky(items):
        if (items < 0).any():
            raise ValueError("below zero")
        return items + 1

    tasks = [Task(lambda i=i: call(picky, torch.tensor([float(i)]))) for i in (0, 1, -1, 3, 4)]
    Executor().run(tasks)
    assert [str(task.error or float(task.result)) for task in tasks] == ["1.0", "2.0", "below zero", "4.0", "5.0"]


def test_a_backward_pass_that_fails_is_its_pictures_own(world):
    class Torn(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, *grads):
            raise RuntimeError("no way back")

    async def torn(x):
        await ask(world)
        return Torn.apply(x)

    async def real(x):
        return (await world.model(x, world.schedule.steps[0].noisy, world.edit.source)).x0.square().mean()

    x = world.latents.data
    tasks = [Task(lambda: value_and_grad(torn, x)), Task(lambda: value_and_grad(real, x))]
    Executor().run(tasks)
    assert isinstance(tasks[0].error, RuntimeError)
    (alone,) = run(value_and_grad(real, x))
    assert torch.equal(tasks[1].result.grads[0], alone.grads[0])


def test_children_of_a_branch_that_raises_are_closed(world):
    closed = []

    async def bad():
        await ask(world)
        raise ValueError

    async def nested():
        await together(
            attention=(p2p(),), a=gather([patient(world, closed, "a1"), patient(world, closed, "a2")]), b=bad()
        )

    task = Task(nested)
    Executor().run([task])
    assert isinstance(task.error, ValueError)
    assert sorted(closed) == ["a1", "a2"]


def test_an_interruption_closes_every_coroutine_and_goes_on_to_the_caller(world, hears_ctrl_c):
    closed = []

    async def interrupted():
        await ask(world)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:  # it holds every frame, so nothing closes by itself
        Executor().run(
            [
                Task(lambda: patient(world, closed, "a")),
                Task(interrupted),
                Task(lambda: gather([patient(world, closed, "b")])),
            ]
        )
    assert sorted(closed) == ["a", "b"]
    assert caught.traceback
    assert torch.is_grad_enabled()
    assert gc.isenabled()


def test_what_ran_out_of_memory_once_is_not_tried_at_that_size_again():
    class Scarce:
        """A core with memory for two rows."""

        def __init__(self, core):
            self.core, self.sites, self.base, self.tried = core, core.sites, core.base, []

        def kernels(self, group):
            return self.core.kernels(group)

        def forward(self, groups, bucket):
            self.tried.append(len(groups))
            if len(groups) > 2:
                raise torch.OutOfMemoryError("out of memory")
            return self.core.forward(groups, bucket)

    here = tiny_world(steps=5)
    core = Scarce(here.model.core)
    scarce = replace(here, model=replace(here.model, core=core))
    tasks = [Task(lambda i=i: scarce.neighbour(i).call(ddim)) for i in range(8)]
    Executor().run(tasks)
    assert [task.error for task in tasks] == [None] * 8
    assert core.tried == [8, 4, 2, 2, 4, 2, 2, *[2] * 16]  # halved in the first tick, packed by two in the other four
