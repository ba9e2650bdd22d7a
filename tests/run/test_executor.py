"""Many pictures are driven at once; one picture's failure is its own."""

from __future__ import annotations

import gc
import signal
from dataclasses import replace
from threading import Event, current_thread
from time import monotonic, sleep

import pytest
import torch

from retouch.api import AttentionControl, SiteCall, Touch, call, gather, together, value_and_grad
from retouch.run.batching import Buckets
from retouch.run.executor import BatchInfo, Executor, run
from retouch.run.task import Skipped, Task
from retouch.testing.worlds import World, gaussian_world, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.mask.diffedit import diffedit
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import p2p

WORLD = gaussian_world(steps=4)


@pytest.fixture
def world() -> World:
    """A world that has counted no forwards."""
    WORLD.model.core.forwards.clear()
    return WORLD


def ask(world: World, shift: float = 0.0):
    """One prediction."""
    return world.model(world.latents.data + shift, world.schedule.steps[0].noisy, world.edit.source)


def finished(*tasks: Task) -> list[Task]:
    """Tasks that were run, in the order in which they ended."""
    order: list[Task] = []
    Executor().run(tasks, order.append)
    return order


@pytest.fixture
def hears_ctrl_c():
    """A job in the background ignores SIGINT; here it is heard as in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class TestTicks:
    def test_what_waits_at_once_is_one_forward_pass(self, world):
        run(*(ask(world) for _ in range(4)))
        assert world.model.core.forwards == [4]

    def test_stages_timesteps_and_prompts_of_every_kind_meet(self, world):
        run(world.call(ddim), world.neighbour(1).call(ddim), world.neighbour(2).call(diffedit, maps=3))
        assert world.model.core.forwards == [8, 2, 2, 2]

    def test_a_picture_that_is_done_leaves_the_others_a_smaller_batch(self, world):
        async def asks(times):
            for _ in range(times):
                await ask(world)

        run(asks(1), asks(2), asks(3))
        assert world.model.core.forwards == [3, 2, 1]

    def test_results_keep_the_order_of_the_tasks(self, world):
        async def nth(i):
            for _ in range(3 - i):
                await ask(world)
            return i

        assert run(*map(nth, range(3))) == [0, 1, 2]

    def test_the_same_work_is_planned_the_same_way_twice(self):
        def calls() -> list[BatchInfo]:
            world = gaussian_world(steps=3)
            executor = Executor()
            works = [world.neighbour(i).call(stage) for i in range(5) for stage in (ddim, diffedit)]
            executor.run([Task(lambda work=work: work) for work in works])
            return executor.calls

        first = calls()
        assert first == calls()
        assert len(first) > 3

    def test_observers_are_told_of_each_call(self, world):
        seen: list[BatchInfo] = []
        executor = Executor(observe=seen.append)
        executor.run([Task(lambda: world.call(ddim)), Task(lambda: world.call(ddim))])
        assert seen == executor.calls == [BatchInfo("denoise", 2, 2, 2)] * 4

    def test_rows_are_counted_for_the_task_that_asked(self, world):
        tasks = [Task(lambda: world.call(ddim)), Task(lambda: world.call(diffedit, maps=3)), Task(lambda: 1)]
        Executor().run(tasks)
        assert [task.rows for task in tasks] == [4, 6, 0]

    def test_a_function_of_batches_is_called_once_for_all_who_wait_for_it(self):
        sizes = []

        def double(items):
            sizes.append(len(items))
            return items * 2

        results = run(*(call(double, torch.tensor([float(i)])) for i in range(6)), buckets=Buckets())
        assert [float(result) for result in results] == [0, 2, 4, 6, 8, 10]
        assert sizes == [8]  # six are enough to fill eight

    def test_nothing_to_gather_is_nothing_to_wait_for(self):
        async def idle():
            return await gather([]), dict(await together())

        assert run(idle()) == [([], {})]

    def test_the_collector_is_as_it_was(self, world):
        run(ask(world))
        assert gc.isenabled()


class TestOrder:
    def test_a_task_starts_with_the_results_of_those_it_waits_for(self, world):
        first, second = Task(lambda: world.call(ddim)), Task(lambda: 3)
        last = Task(lambda trajectory, number: (len(trajectory.states), number), after=(first, second))
        assert finished(last, first, second)[-1] is last
        assert last.result == (5, 3)

    def test_plain_functions_run_without_a_tick(self, world):
        one = Task(lambda: 1)
        two = Task(lambda before: before + 1, after=(one,))
        three = Task(lambda before: before + 1, after=(two,))
        Executor().run([three, two, one])
        assert three.result == 3
        assert world.model.core.forwards == []

    def test_tasks_that_wait_for_one_another_are_refused(self):
        one = Task(lambda _: 1, name="one")
        two = Task(lambda _: 2, after=(one,), name="two")
        one.after = (two,)
        with pytest.raises(RuntimeError, match="'one', 'two'"):
            Executor().run([one, two])

    def test_a_task_that_waits_for_one_that_is_not_run_is_refused(self):
        with pytest.raises(RuntimeError, match="'late'"):
            Executor().run([Task(lambda _: 1, after=(Task(lambda: 2),), name="late")])


class TestFailure:
    def test_one_that_raises_leaves_the_others(self, world):
        async def bad():
            await ask(world)
            raise ValueError("bad picture")

        tasks = [Task(lambda: ask(world)), Task(bad), Task(lambda: ask(world, 1.0))]
        Executor().run(tasks)
        assert [type(task.error) for task in tasks] == [type(None), ValueError, type(None)]
        assert tasks[0].result is not None

    def test_one_that_raises_at_once_leaves_the_others(self, world):
        def bad():
            raise KeyError("no such file")

        tasks = [Task(bad), Task(lambda: ask(world))]
        Executor().run(tasks)
        assert isinstance(tasks[0].error, KeyError)
        assert tasks[1].error is None

    def test_what_needs_it_is_skipped_and_names_the_first_cause(self):
        def bad():
            raise ValueError("bad picture")

        first = Task(bad)
        second = Task(lambda _: 1, after=(first,))
        third = Task(lambda _: 1, after=(second,))
        Executor().run([third, second, first])
        assert isinstance(second.error, Skipped)
        assert isinstance(third.error, Skipped)
        assert third.error.cause is first.error

    def test_the_traceback_keeps_the_line_of_the_stage(self, world):
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
    def test_a_control_that_raises_kills_its_own_picture_only(self, fixed):
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

    def test_a_batched_function_that_fails_for_one_answers_the_others(self):
        def picky(items):
            if (items < 0).any():
                raise ValueError("below zero")
            return items + 1

        tasks = [Task(lambda i=i: call(picky, torch.tensor([float(i)]))) for i in (0, 1, -1, 3, 4)]
        Executor().run(tasks)
        assert [str(task.error or float(task.result)) for task in tasks] == ["1.0", "2.0", "below zero", "4.0", "5.0"]

    def test_a_backward_pass_that_fails_is_its_pictures_own(self, world):
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

    def test_children_of_a_branch_that_raises_are_closed(self, world):
        closed = []

        async def patient(name):
            try:
                while True:
                    await ask(world)
            finally:
                closed.append(name)

        async def bad():
            await ask(world)
            raise ValueError

        async def nested():
            await together(attention=(p2p(),), a=gather([patient("a1"), patient("a2")]), b=bad())

        task = Task(nested)
        Executor().run([task])
        assert isinstance(task.error, ValueError)
        assert sorted(closed) == ["a1", "a2"]

    def test_an_interruption_closes_every_coroutine_and_goes_on_to_the_caller(self, world, hears_ctrl_c):
        closed = []

        async def patient(name):
            try:
                while True:
                    await ask(world)
            finally:
                closed.append(name)

        async def interrupted():
            await ask(world)
            signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt) as caught:  # it holds every frame, so nothing closes by itself
            Executor().run([Task(lambda: patient("a")), Task(interrupted), Task(lambda: gather([patient("b")]))])
        assert sorted(closed) == ["a", "b"]
        assert caught.traceback
        assert torch.is_grad_enabled()
        assert gc.isenabled()


class TestModes:
    """Grad mode belongs to the thread, so to every other picture: nobody may hold it across an await."""

    @pytest.mark.parametrize(
        ("mode", "said"),
        [
            (torch.enable_grad, "use value_and_grad"),
            (lambda: torch.autocast("cpu"), "autocast"),
            (torch.inference_mode, "inference-mode"),
        ],
        ids=["grad", "autocast", "inference"],
    )
    def test_a_mode_held_across_an_await_is_refused_for_that_picture_alone(self, world, mode, said):
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

    def test_stages_run_without_gradients(self, world):
        async def look():
            return torch.is_grad_enabled(), (await ask(world)).x0.requires_grad, torch.is_grad_enabled()

        assert run(look()) == [(False, False, False)]


class TestWhatIsDoneAside:
    def test_goes_on_beside_the_network_and_ends_before_the_run_does(self):
        world, written, let_go = tiny_world(steps=4), [], Event()

        def write(trajectory):
            assert let_go.wait(30)  # for the whole of another picture's walk
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

    def test_ends_in_the_order_in_which_it_began(self):
        def write(i):
            sleep(0.02 if i == 0 else 0)
            return i

        tasks, ended = [Task(lambda i=i: write(i), aside=0, name=str(i)) for i in range(3)], []
        Executor().run(tasks, lambda task: ended.append(task.name))
        assert ended == ["0", "1", "2"]

    def test_fails_alone(self):
        def full(_):
            raise OSError("no room")

        first = Task(lambda: 1)
        tasks = [first, Task(full, after=(first,), aside=0), Task(lambda x: x, after=(first,), aside=0)]
        Executor().run(tasks)
        assert str(tasks[1].error) == "no room"
        assert tasks[2].result == 1

    def test_may_await_like_any_other(self):
        async def write():
            return (await tiny_world().call(ddim)).states

        task = Task(write, aside=0)
        Executor().run([task])
        assert torch.equal(task.result, run(tiny_world().call(ddim))[0].states)

    def test_is_not_begun_where_the_run_is_stopped_but_what_was_begun_is_ended(self, hears_ctrl_c):
        written, begun = [], Event()

        def write(i):
            begun.set()
            until = monotonic() + 30
            while not all(task.future and task.future.cancelled() for task in tasks[1:5]) and monotonic() < until:
                sleep(0.001)
            written.append(i)

        async def interrupted():
            assert begun.wait(30)
            signal.raise_signal(signal.SIGINT)

        tasks = [*(Task(lambda i=i: write(i), aside=0) for i in range(5)), Task(interrupted)]
        with pytest.raises(KeyboardInterrupt):
            Executor().run(tasks)
        assert written == [0]


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
