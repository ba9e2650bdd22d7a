"""Drive many stages at once; do together what waits together.

A tick: everyone advances until all wait, then everything that waits is evaluated, packed by what can share a call.
No timers and no threads, so the plan is a function of the inputs.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from traceback import clear_frames
from typing import Any, Protocol

import torch

from retouch.core.errors import BrokenTouch, Unmet
from retouch.core.repeatable import backward_repeatable, repeatable
from retouch.core.requests import Ask, Backward, Call, Group, Part, as_ask
from retouch.models.network.core import padded
from retouch.plugins.interrupts import is_stop, listening
from retouch.run.batching import Batch, Buckets, Key, key_of, pack, rows_of
from retouch.run.results import Doubt

_MISSING = object()
MOST_ASIDE = 64  # results that may wait to be written, each in memory
LANES = min(8, max(1, (os.cpu_count() or 2) // 2))  # threads that write


class Skipped(Exception):
    """A task that another's failure left without its inputs."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Care(Protocol):
    """What a task is surrounded with, so that what is wrong in it stays in it."""

    @property
    def strange(self) -> bool:
        """Whether its advances are to be surrounded at all."""
        ...

    def handed(self, values: Sequence[Any]) -> list[Any]:
        """Give the values as the task gets them."""
        ...

    def around(self) -> AbstractContextManager[None]:
        """Surround one advance."""
        ...

    def admitted(self, value: Any) -> tuple[Any, list[Doubt]]:
        """Give what others get of its result, and what is to be asked of the device; raises what is wrong with it."""
        ...


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """One call that was made: for tracing and progress."""

    kind: str  # denoise, gradient, apply, backward
    rows: int
    bucket: int
    tasks: int


@dataclass(slots=True, eq=False)
class Task:
    """One stage of one image: started when the tasks it waits for are done, with their results.

    start: a plain function gives the result at once, an async one a coroutine to drive.
    ways: instead of `start`, sets of tasks of which the first that all meet what they require gives the result, which
        is its first task's; a later way is begun only when those before it have missed.
    wanted: whether anyone waits for it; what nobody wants is never begun.
    aside: a lane, where `start` writes a result: it runs in that lane's thread beside the others, so that the device
        need not wait for files.  What shares a lane is done in a fixed order.
    care: what looks after its values, its advances and its result.
    """

    start: Callable[..., Any]
    after: tuple[Task, ...] = ()
    name: str = ""
    result: Any = None
    error: BaseException | None = None
    done: bool = False
    rows: int = 0  # denoiser rows evaluated for it
    ways: tuple[tuple[Task, ...], ...] = ()
    wanted: bool = True
    aside: int | None = None
    care: Care | None = None
    _made: bool = False  # the result is there, and not yet looked at
    _kept: dict[tuple[str, str], torch.Tensor] = field(default_factory=dict)  # see Reply.kept
    _future: Future[Any] | None = None
    _way: int = 0
    _coroutine: Coroutine[Any, Any, Any] | None = None
    _parts: tuple[Part, ...] = ()
    _replies: list[Any] = field(default_factory=list)
    _thrown: BaseException | None = None

    def want(self) -> None:
        """Ask for its result, and for all that it needs."""
        if not self.wanted:
            self.wanted = True
            for task in self.needs:
                task.want()

    @property
    def needs(self) -> tuple[Task, ...]:
        """The tasks that have to be done before this one goes on."""
        return self.ways[self._way] if self.ways else self.after

    @property
    def waits(self) -> bool:
        """Whether it is suspended on parts that are not all answered."""
        return not self.done and bool(self._parts)


class Executor:
    """Runs tasks to their ends.  One image's failure is its own; the others go on."""

    def __init__(self, buckets: Buckets | None = None, observe: Callable[[BatchInfo], None] | None = None) -> None:
        self.buckets, self.observe = buckets or Buckets(), observe or (lambda _: None)
        self.calls: list[BatchInfo] = []
        self.beats = 0  # grows whenever a task begins or gives way
        self._aside: deque[Task] = deque()
        self._narrower: dict[Key, Buckets] = {}  # of kinds of call that ran out of memory

    def run(self, tasks: Sequence[Task], finished: Callable[[Task], None] | None = None) -> None:
        """Drive all tasks that are wanted to their ends.  `finished` is told of each as it ends, in a fixed order."""
        finished = finished or (lambda _: None)
        ended: set[Task] = set()
        pending: list[Task] = []
        with torch.no_grad(), repeatable(), _quiet_collector(), listening(), _lanes() as lanes:
            try:
                while pending := [task for task in tasks if task.wanted and task not in ended]:
                    began = self._start(pending, lanes)
                    waiting = [task for task in pending if task.waits]
                    self._tick(waiting)
                    _admit(pending)
                    self._settle(wait=not began and not waiting)
                    done = [task for task in pending if task.done]
                    for task in done:
                        finished(task)
                    ended.update(done)
                    if not (began or done or any(task.waits for task in pending)):
                        names = ", ".join(f"'{task.name}'" for task in pending)
                        raise RuntimeError(f"tasks wait for one another, or for one that is not run: {names}")
            finally:
                self._aside.clear()
                for task in pending:
                    _close(task)

    def _start(self, pending: Sequence[Task], lanes: Sequence[ThreadPoolExecutor]) -> bool:
        """Start whatever has its inputs; a plain function may let the next one start at once."""
        began, going = False, True
        while going:
            going = False
            for task in pending:
                begun = task.done or task._coroutine is not None or task._future is not None
                if not begun and all(before.done for before in task.needs):
                    self.beats += 1
                    _begin(task, lanes)
                    if task._future:
                        self._aside.append(task)
                    going = True
            _admit(pending)
            began |= going
        return began

    def _settle(self, *, wait: bool) -> None:
        """Take what was done aside, in the order in which it began; wait for the first where nothing else goes on."""
        while self._aside:
            future = self._aside[0]._future
            assert future is not None
            if not (wait or future.done() or len(self._aside) > MOST_ASIDE):
                return
            task, wait = self._aside.popleft(), False
            if error := future.exception():
                _fail(task, error)
            else:
                _started(task, future.result())
                _admit([task])

    def _tick(self, waiting: Sequence[Task]) -> None:
        asked = [(task, i) for task in waiting for i in range(len(task._parts)) if task._replies[i] is _MISSING]
        # gradients wait for each other: one backward pass for all images
        ready = [(t, i) for t, i in asked if not isinstance(t._parts[i], Backward)] or asked
        try:
            batches = pack([task._parts[i] for task, i in ready], self.buckets, self._narrower)
        except Exception:  # something waits that is nothing to evaluate: whoever asked for it hears so
            ready = [(task, i) for task, i in ready if _is_askable(task, i)]
            batches = pack([task._parts[i] for task, i in ready], self.buckets, self._narrower)
        for batch in batches:
            self._evaluate(batch, [ready[place] for place in batch.places])
        for task in waiting:
            if task._thrown or not any(reply is _MISSING for reply in task._replies):
                self.beats += 1
                _resume(task, task._replies)

    def _evaluate(self, batch: Batch, asked: list[tuple[Task, int]]) -> None:
        """Answer what one call can; where it fails, halve it until whose fault it is stands alone."""
        parts = [task._parts[i] for task, i in asked]
        self.beats += 1
        try:
            answers = _answer(batch, parts)
            if len(answers) != len(parts):
                raise ValueError(f"a batched function gave {len(answers)} results for {len(parts)} items")
        except BaseException as error:
            if is_stop(error):
                raise
            _release(error)
            answers = None
            if isinstance(error, torch.OutOfMemoryError | MemoryError) and not self.buckets.fixed:
                key = key_of(parts[0])  # from the next tick on
                self._narrower[key] = self._narrower.get(key, self.buckets).below(batch.rows)
            if len(asked) == 1:
                asked[0][0]._thrown = error
                return
        if answers is None:  # outside the handler, which would keep what failed alive
            middle = len(asked) // 2
            for half in (asked[:middle], asked[middle:]):
                rows = sum(rows_of(task._parts[i]) for task, i in half)
                bucket = batch.bucket if self.buckets.fixed else rows
                self._evaluate(Batch(batch.kind, bucket, rows=rows), half)
            return
        for (task, i), part, answer in zip(asked, parts, answers, strict=True):
            task._replies[i] = answer
            if isinstance(part, Group):
                task.rows += len(part.rows)
                for what, fine in answer.kept.items():
                    task._kept[what] = task._kept[what] & fine if what in task._kept else fine
        info = BatchInfo(batch.kind, batch.rows, batch.bucket, len({id(task) for task, _ in asked}))
        self.calls.append(info)
        self.observe(info)


def run(*coroutines: Coroutine[Any, Any, Any], buckets: Buckets | None = None) -> list[Any]:
    """Drive coroutines to their results, in order; the first failure is raised when all have ended."""
    tasks = [Task(lambda coroutine=coroutine: coroutine) for coroutine in coroutines]
    Executor(buckets).run(tasks)
    for task in tasks:
        if task.error:
            raise task.error
    return [task.result for task in tasks]


def _begin(task: Task, lanes: Sequence[ThreadPoolExecutor]) -> None:
    if task.ways and task._way + 1 < len(task.ways) and any(_missed(before) for before in task.needs):
        task._way += 1
        for other in task.needs:
            other.want()
        return
    for before in task.needs:
        if before.error:
            cause = before.error.cause if isinstance(before.error, Skipped) else before.error
            task.done, task.error = True, Skipped(cause)
            return
    if task.ways:
        task.done, task.result = True, task.needs[0].result
        return
    values = [before.result for before in task.after]
    try:
        if task.care:
            values = task.care.handed(values)
        if task.aside is not None:
            task._future = lanes[task.aside % len(lanes)].submit(_without_grad, task, values)
            return
        with _around(task):
            started = task.start(*values)
    except BaseException as error:
        _fail(task, error)
        return
    _started(task, started)


def _started(task: Task, started: Any) -> None:
    """What `start` gave: a coroutine to drive, or the result."""
    if isinstance(started, Coroutine):
        task._coroutine = started
        _resume(task, None)
    else:
        task._made, task.result = True, started


def _admit(tasks: Sequence[Task]) -> None:
    """Let others take what was made, if it is what its stage declares.  The device is waited for once."""
    asked: list[tuple[Task, Doubt]] = []
    for task in tasks:
        if task.done or not task._made:
            continue
        task.done = True
        asked += [(task, Doubt(fine, BrokenTouch(*what))) for what, fine in task._kept.items()]
        try:
            if task.care:
                task.result, doubts = task.care.admitted(task.result)
                asked += [(task, doubt) for doubt in doubts]
        except BaseException as error:
            _fail(task, error)
    for (task, doubt), fine in zip(asked, _read([doubt.fine for _, doubt in asked]), strict=True):
        if not fine and task.error is None:
            task.error, task.result = doubt.error, None


def _read(flags: Sequence[torch.Tensor]) -> list[bool]:
    """Flags [] as the host knows them, one transfer a device."""
    found: dict[int, bool] = {}
    for device in dict.fromkeys(flag.device for flag in flags):
        places = [i for i, flag in enumerate(flags) if flag.device == device]
        found.update(zip(places, torch.stack([flags[i] for i in places]).tolist(), strict=True))
    return [found[i] for i in range(len(flags))]


def _fail(task: Task, error: BaseException) -> None:
    """End a task with what it raised, whatever that is: SystemExit is a failure like another.  Ctrl-C ends the work."""
    if is_stop(error):
        raise error
    task.done, task.error, task.result = True, error, None
    _close(task)


def _close(task: Task) -> None:
    """End its coroutine, which may not hinder that."""
    with suppress(Exception, SystemExit, GeneratorExit):
        if task._coroutine:
            task._coroutine.close()


def _around(task: Task) -> AbstractContextManager[None]:
    return task.care.around() if task.care and task.care.strange else nullcontext()


def _is_askable(task: Task, i: int) -> bool:
    """Whether a part can be packed; if not, its task is told why."""
    try:
        hash(key_of(task._parts[i]))
    except Exception as error:
        task._thrown = error
        return False
    return True


def _missed(task: Task) -> bool:
    """Whether the task, or one that it needs, did not meet what the recipe requires of it."""
    cause = task.error.cause if isinstance(task.error, Skipped) else task.error
    return isinstance(cause, Unmet)


def _resume(task: Task, replies: list[Any] | None) -> None:
    thrown, task._thrown = task._thrown, None
    coroutine = task._coroutine
    assert coroutine is not None
    task._parts, task._replies = (), []
    try:
        with _around(task):
            ask, result = _sent(coroutine, replies, thrown)
    except BaseException as error:
        _fail(task, error)
        return
    if ask is None:
        task._made, task.result = True, result
        return
    task._parts, task._replies = tuple(ask.parts), [_MISSING] * len(ask.parts)
    if not ask.parts:
        _resume(task, [])


def _sent(
    coroutine: Coroutine[Any, Any, Any], replies: list[Any] | None, thrown: BaseException | None
) -> tuple[Ask | None, Any]:
    """What it asks for next, or None and its result."""
    try:
        awaited: Any = coroutine.throw(thrown) if thrown else coroutine.send(replies)
    except StopIteration as stop:
        return None, stop.value
    _check_modes(coroutine)
    return as_ask(awaited), None


def _check_modes(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Modes belong to the thread, so to every other image; a block of one may not span an await."""
    held = {
        "a grad-mode block spans an await; use value_and_grad": torch.is_grad_enabled(),
        "an autocast block spans an await": torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"),
        "an inference-mode block spans an await; stages need none": torch.is_inference_mode_enabled(),
    }
    if any(held.values()):
        coroutine.close()
        torch.set_grad_enabled(False)
        raise RuntimeError(next(what for what, is_held in held.items() if is_held))


def _without_grad(task: Task, values: Sequence[Any]) -> Any:
    """Grad mode belongs to the thread, and another thread begins with it on."""
    with torch.no_grad(), _around(task):
        return task.start(*values)


@contextmanager
def _lanes() -> Iterator[Sequence[ThreadPoolExecutor]]:
    """Threads for what is done aside; what they have begun, they end, and what they have not is dropped."""
    lanes = [ThreadPoolExecutor(1, f"retouch-lane-{i}") for i in range(LANES)]  # each begins with its first work
    try:
        yield lanes
    finally:
        for lane in lanes:
            lane.shutdown(wait=False, cancel_futures=True)
        for lane in lanes:
            lane.shutdown()


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Coroutines and tensors are freed by reference count; a full collection in each tick only costs."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _answer(batch: Batch, parts: Sequence[Any]) -> Sequence[Any]:
    match parts[0]:
        case Group():
            return parts[0].rows[0].model.core.forward(parts, batch.bucket)
        case Call(function=function):
            return _apply(function, parts, batch.bucket)
        case _:
            return _backward(parts)


def _release(error: BaseException | None) -> None:
    """Free what the frames of a failed call hold: the halves need its memory.  Where it failed can still be read."""
    while error:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _apply(function: Callable[[torch.Tensor], Any], parts: Sequence[Call], bucket: int) -> Sequence[Any]:
    with torch.set_grad_enabled(parts[0].item.requires_grad):
        items = padded(torch.stack([part.item for part in parts]), bucket)
        made = function(items)
        if isinstance(made, torch.Tensor):
            return made[: len(parts)].unbind(0)
        return list(zip(*(each[: len(parts)].unbind(0) for each in made), strict=True))  # several tensors an item


def _backward(parts: Sequence[Backward]) -> Sequence[Any]:
    """One pass for all: the losses of independent images add."""
    leaves = [leaf for part in parts for leaf in part.leaves]
    losses = [part.loss for part in parts]
    grads = backward_repeatable(lambda: torch.autograd.grad(losses, leaves, retain_graph=True, allow_unused=True))
    filled = iter(torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves, grads, strict=True))
    return [tuple(next(filled) for _ in part.leaves) for part in parts]
