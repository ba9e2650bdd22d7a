"""What is done aside goes on beside the network, ends before the run does, and fails alone."""

from __future__ import annotations

import signal
from threading import Event, current_thread
from time import monotonic, sleep

import pytest
import torch

from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.worlds import tiny_world
from retouch_methods.invert.ddim import ddim


def test_goes_on_beside_the_network_and_ends_before_the_run_does():
    world, written, let_go = tiny_world(steps=4), [], Event()

    def write(trajectory):
        assert let_go.wait(600)  # for the whole of another picture's walk
        written.append(trajectory)
        return current_thread().name

    async def another():
        made = await world.call(ddim)
        let_go.set()
        return made

    first = Task(lambda: world.call(ddim, strength=0.25))
    saved = Task(write, after=(first,), aside=0)
    Executor().run([first, saved, Task(another)])
    assert written == [first.result]
    assert saved.result != current_thread().name


def test_ends_in_the_order_in_which_it_began():
    def write(i):
        sleep(0.02 if i == 0 else 0)
        return i

    tasks, ended = [Task(lambda i=i: write(i), aside=0, name=str(i)) for i in range(3)], []
    Executor().run(tasks, lambda task: ended.append(task.name))
    assert ended == ["0", "1", "2"]


def test_fails_alone():
    def full(_):
        raise OSError("no room")

    first = Task(lambda: 1)
    tasks = [first, Task(full, after=(first,), aside=0), Task(lambda x: x, after=(first,), aside=0)]
    Executor().run(tasks)
    assert str(tasks[1].error) == "no room"
    assert tasks[2].result == 1


def test_may_await_like_any_other():
    async def write():
        return (await tiny_world().call(ddim)).states

    task = Task(write, aside=0)
    Executor().run([task])
    assert torch.equal(task.result, run(tiny_world().call(ddim))[0].states)


def test_is_not_begun_where_the_run_is_stopped_but_what_was_begun_is_ended(hears_ctrl_c):
    written, begun = [], Event()

    def write(i):
        begun.set()
        until = monotonic() + 600
        while not all(task.future and task.future.cancelled() for task in tasks[1:5]) and monotonic() < until:
            sleep(0.001)
        written.append(i)

    async def interrupted():
        assert begun.wait(600)
        signal.raise_signal(signal.SIGINT)

    tasks = [*(Task(lambda i=i: write(i), aside=0) for i in range(5)), Task(interrupted)]
    with pytest.raises(KeyboardInterrupt):
        Executor().run(tasks)
    assert written == [0]
