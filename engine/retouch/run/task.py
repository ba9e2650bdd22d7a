"""A stage of one image at work: how it begins, asks, goes on and ends, whatever a plugin does in it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from retouch.core.awaited.requests import Ask, Part, as_ask
from retouch.core.errors import Unmet
from retouch.plugins.interrupts import is_stop, is_stopping
from retouch.run.strangers.taking_turns import TURNS
from retouch.run.strangers.wrong_results import Doubt

MISSING = object()  # in place of an answer that has not come


class Skipped(Exception):
    """A task that another's failure left without its inputs."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(type(cause).__name__)  # what it says may itself raise
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

    def evaluating(self, others: Iterable[Any]) -> AbstractContextManager[None]:
        """Surround the evaluation of what it waits for, and those whose care the others are."""
        ...

    def answered(self, part: Part, answer: Any) -> None:
        """Hear what became of a part that the task waits for."""
        ...

    def admitted(self, value: Any) -> tuple[Any, list[Doubt]]:
        """Give what others get of its result, and what is to be asked of the device; raises what is wrong with it."""
        ...


@dataclass(slots=True, eq=False)
class Task:
    """One stage of one image: started when the tasks it waits for are done, with their results.

    start: a plain function gives the result at once, an async one a coroutine to drive.
    ways: instead of `start`, sets of tasks of which the first that all meet what they require gives the result, which
        is its first task's; a later way is begun only when those before it have missed.
    wanted: whether anyone waits for it; what nobody wants is never begun.
    aside: a lane, where `start` writes a result: it runs in that lane's thread beside the others, so that the device
        need not wait for files.  What shares a lane is done in a fixed order.  The engine's own code alone goes there.
    care: what looks after its values, its advances and its result.
    instead: gives the result without what the task waits for, which is then not wanted either; or MISSING.
    light: its result is made anew at little cost, so that nobody keeps it for those who ask much later.
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
    instead: Callable[[], Any] | None = None
    light: bool = False
    alone: bool = field(default=False, init=False)  # whether whoever runs it keeps all others waiting
    made: bool = field(default=False, init=False)  # the result is there, and not yet looked at
    kept: dict[tuple[str, str], torch.Tensor] = field(default_factory=dict, init=False)  # [] each, see Reply.kept
    future: Future[Any] | None = field(default=None, init=False)
    parts: tuple[Part, ...] = field(default=(), init=False)  # what it waits for, and the answers so far
    replies: list[Any] = field(default_factory=list[Any], init=False)
    thrown: BaseException | None = field(default=None, init=False)
    _way: int = field(default=0, init=False)
    _coroutine: Coroutine[Any, Any, Any] | None = field(default=None, init=False)

    def want(self) -> None:
        """Ask for its result, and for all that it needs."""
        if not self.wanted:
            self.wanted = True
            for task in self.needs:
                task.want()

    @property
    def needs(self) -> tuple[Task, ...]:
        """The tasks that have to be done before this one goes on."""
        if self.instead:
            return ()
        return self.ways[self._way] if self.ways else self.after

    @property
    def begun(self) -> bool:
        """Whether it was started."""
        return self.done or self._coroutine is not None or self.future is not None

    @property
    def waits(self) -> bool:
        """Whether it is suspended on parts that are not all answered."""
        return not self.done and bool(self.parts)


def forget(tasks: Iterable[Task]) -> None:
    """Let go of what ended tasks made; whoever asks next has it made anew."""
    for task in tasks:
        task.done, task.made, task.result, task.error, task._coroutine = False, False, None, None, None


def recall(task: Task) -> None:
    """Take the result from where `instead` has it; else ask for all that the task needs to make it."""
    assert task.instead is not None
    try:
        found = task.instead()
    except BaseException as error:
        # A store that cannot be read is a failure of this task's picture, and of no other.
        fail(task, error)
        return
    finally:
        task.instead = None
    if found is MISSING:
        for before in task.needs:
            before.want()
    else:
        task.made, task.result = True, found


def begin(task: Task, lanes: Sequence[ThreadPoolExecutor]) -> None:
    # What is needed has ended, and this way missed: only now is the next asked for, since ways cost rows.
    if task.ways and task._way + 1 < len(task.ways) and any(_missed(before) for before in task.needs):
        task._way += 1
        for other in task.needs:
            other.want()
        return
    for before in task.needs:
        if before.error:
            # The first cause is told, however many tasks lie between: the picture failed once.
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
            # Asked here: asked in the thread it would be about that.
            task.alone = TURNS.mine
            task.future = lanes[task.aside % len(lanes)].submit(_without_grad, task, values)
            return
        with _around(task):
            gave = task.start(*values)
    except BaseException as error:
        fail(task, error)
        return
    take_up(task, gave)


def take_up(task: Task, gave: Any) -> None:
    """What `start` gave: a coroutine to drive, or the result."""
    if isinstance(gave, Coroutine):
        task._coroutine = gave
        resume(task, None)
    else:
        task.made, task.result = True, gave


def fail(task: Task, error: BaseException) -> None:
    """End a task with what it raised, whatever that is: SystemExit is a failure like another.  Ctrl-C ends the work."""
    if is_stop(error):
        raise error
    task.done, task.error, task.result = True, error, None
    close(task)


def close(task: Task) -> None:
    """End its coroutine, which may not hinder that."""
    with suppress(Exception, SystemExit, GeneratorExit):
        if task._coroutine:
            task._coroutine.close()


def _around(task: Task) -> AbstractContextManager[None]:
    return task.care.around() if task.care and task.care.strange else nullcontext()


def _missed(task: Task) -> bool:
    """Whether the task, or one that it needs, did not meet what the recipe requires of it."""
    cause = task.error.cause if isinstance(task.error, Skipped) else task.error
    return isinstance(cause, Unmet)


def resume(task: Task, replies: list[Any] | None) -> None:
    thrown, task.thrown = task.thrown, None
    coroutine = task._coroutine
    assert coroutine is not None
    # Cleared first: who is resumed may fail, and must not look as if it still waited.
    task.parts, task.replies = (), []
    try:
        with _around(task):
            ask, result = _sent(coroutine, replies, thrown)
    except BaseException as error:
        fail(task, error)
        return
    if ask is None:
        task.made, task.result = True, result
        return
    task.parts, task.replies = tuple(ask.parts), [MISSING] * len(ask.parts)
    if not ask.parts:
        resume(task, [])


def _sent(
    coroutine: Coroutine[Any, Any, Any], replies: list[Any] | None, thrown: BaseException | None
) -> tuple[Ask | None, Any]:
    """What it asks for next, or None and its result."""
    modes = _modes()
    try:
        awaited: Any = coroutine.throw(thrown) if thrown else coroutine.send(replies)
    except StopIteration as stop:
        return None, stop.value
    if is_stopping():
        raise KeyboardInterrupt  # which it has caught
    _check_modes(coroutine, modes)
    return as_ask(awaited), None


def _modes() -> int:
    """How many modes see every call of torch."""
    stacks: Any = torch._C
    return stacks._len_torch_function_stack() + stacks._len_torch_dispatch_stack()


def _check_modes(coroutine: Coroutine[Any, Any, Any], modes: int) -> None:
    """Modes belong to the thread, so to every other image; a block of one may not span an await."""
    autocast = torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")
    if not (torch.is_grad_enabled() or autocast or torch.is_inference_mode_enabled() or _modes() > modes):
        return
    held = {
        "a grad-mode block spans an await; use value_and_grad": torch.is_grad_enabled(),
        "an autocast block spans an await": autocast,
        "an inference-mode block spans an await; stages need none": torch.is_inference_mode_enabled(),
        "a mode of torch spans an await": _modes() > modes,
    }
    coroutine.close()
    torch.set_grad_enabled(False)
    raise RuntimeError(next(what for what, is_held in held.items() if is_held))


def _without_grad(task: Task, values: Sequence[Any]) -> Any:
    """Grad mode belongs to the thread, and another thread begins with it on."""
    with torch.no_grad(), nullcontext() if task.alone else TURNS.beside():
        return task.start(*values)
