"""Many pictures are driven at once: what waits is packed, tick by tick, and tasks come in their order."""

from __future__ import annotations

import gc

import pytest
import torch

from retouch.api import call, gather, together
from retouch.run.batching import Buckets
from retouch.run.executor import BatchInfo, Executor, run
from retouch.run.task import Task
from retouch.testing.worlds import gaussian_world
from retouch_methods.invert.ddim import ddim
from retouch_methods.mask.diffedit import diffedit
from tests.run.asking import ask


def finished(*tasks: Task) -> list[Task]:
    """Tasks that were run, in the order in which they ended."""
    order: list[Task] = []
    Executor().run(tasks, order.append)
    return order


def test_what_waits_at_once_is_one_forward_pass(world):
    run(*(ask(world) for _ in range(4)))
    assert world.model.core.forwards == [4]


def test_stages_timesteps_and_prompts_of_every_kind_meet(world):
    run(world.call(ddim), world.neighbour(1).call(ddim), world.neighbour(2).call(diffedit, maps=3))
    assert world.model.core.forwards == [8, 2, 2, 2]


def test_a_picture_that_is_done_leaves_the_others_a_smaller_batch(world):
    async def asks(times):
        for _ in range(times):
            await ask(world)

    run(asks(1), asks(2), asks(3))
    assert world.model.core.forwards == [3, 2, 1]


def test_results_keep_the_order_of_the_tasks(world):
    async def nth(i):
        for _ in range(3 - i):
            await ask(world)
        return i

    assert run(*map(nth, range(3))) == [0, 1, 2]


def test_the_same_work_is_planned_the_same_way_twice():
    def calls() -> list[BatchInfo]:
        world = gaussian_world(steps=3)
        executor = Executor()
        works = [world.neighbour(i).call(stage) for i in range(5) for stage in (ddim, diffedit)]
        executor.run([Task(lambda work=work: work) for work in works])
        return executor.calls

    first = calls()
    assert first == calls()
    assert len(first) > 3


def test_observers_are_told_of_each_call(world):
    seen: list[BatchInfo] = []
    executor = Executor(observe=seen.append)
    executor.run([Task(lambda: world.call(ddim)), Task(lambda: world.call(ddim))])
    assert seen == executor.calls == [BatchInfo("denoise", 2, 2, 2)] * 4


def test_rows_are_counted_for_the_task_that_asked(world):
    tasks = [Task(lambda: world.call(ddim)), Task(lambda: world.call(diffedit, maps=3)), Task(lambda: 1)]
    Executor().run(tasks)
    assert [task.rows for task in tasks] == [4, 6, 0]


def test_a_function_of_batches_is_called_once_for_all_who_wait_for_it():
    sizes = []

    def double(items):
        sizes.append(len(items))
        return items * 2

    results = run(*(call(double, torch.tensor([float(i)])) for i in range(6)), buckets=Buckets())
    assert [float(result) for result in results] == [0, 2, 4, 6, 8, 10]
    assert sizes == [8]  # six are enough to fill eight


def test_nothing_to_gather_is_nothing_to_wait_for():
    async def idle():
        return await gather([]), dict(await together())

    assert run(idle()) == [([], {})]


def test_the_collector_is_as_it_was(world):
    run(ask(world))
    assert gc.isenabled()


def test_a_task_starts_with_the_results_of_those_it_waits_for(world):
    first, second = Task(lambda: world.call(ddim)), Task(lambda: 3)
    last = Task(lambda trajectory, number: (len(trajectory.states), number), after=(first, second))
    assert finished(last, first, second)[-1] is last
    assert last.result == (5, 3)


def test_plain_functions_run_without_a_tick(world):
    one = Task(lambda: 1)
    two = Task(lambda before: before + 1, after=(one,))
    three = Task(lambda before: before + 1, after=(two,))
    Executor().run([three, two, one])
    assert three.result == 3
    assert world.model.core.forwards == []


def test_tasks_that_wait_for_one_another_are_refused():
    one = Task(lambda _: 1, name="one")
    two = Task(lambda _: 2, after=(one,), name="two")
    one.after = (two,)
    with pytest.raises(RuntimeError, match="'one', 'two'"):
        Executor().run([one, two])


def test_a_task_that_waits_for_one_that_is_not_run_is_refused():
    with pytest.raises(RuntimeError, match="'late'"):
        Executor().run([Task(lambda _: 1, after=(Task(lambda: 2),), name="late")])
