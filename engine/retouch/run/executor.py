"""Drive many stages at once; do together what waits together.

A tick: everyone advances until all wait, then everything that waits is evaluated, packed by what can share a call.
No timers and no threads, so the plan is a function of the inputs.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Container, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from traceback import clear_frames
from typing import Any

import torch

from retouch.core.awaited.requests import Backward, Call, Group, Reply, all_kept
from retouch.core.device.repeatable import backward_repeatable, repeatable
from retouch.core.errors import BrokenTouch
from retouch.core.schedule import Prediction
from retouch.models.network.captured import give_back_memory
from retouch.models.network.core import padded
from retouch.plugins.interrupts import is_stop, is_stopping, listening
from retouch.run.batching import Batch, Buckets, Key, key_of, pack, rows_of
from retouch.run.collector import quiet_collector
from retouch.run.strangers.wrong_results import Doubt, WrongAnswer, described
from retouch.run.task import MISSING, Task, begin, close, fail, recall, resume, take_up

MOST_ASIDE = 64  # results that may wait to be written, each in memory
LANES = min(8, max(1, (os.cpu_count() or 2) // 2))  # threads that write


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """One call that was made: for tracing and progress."""

    kind: str  # denoise, gradient, apply, backward, read
    rows: int
    bucket: int
    tasks: int


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
        ended = {task for task in tasks if task.done}  # in an earlier run, which has told of it
        pending: list[Task] = []
        same_bits = repeatable(always=bool(self.buckets.fixed))
        with torch.no_grad(), same_bits, quiet_collector(), listening(), _lanes() as lanes:
            try:
                while pending := _pending(tasks, ended):
                    began = self._start(pending, lanes)
                    waiting = [task for task in pending if task.waits]
                    self._tick(waiting)
                    _admit(pending)
                    # What is written beside the work is waited for only where there is nothing else to do.
                    self._settle(wait=not began and not waiting)
                    done = [task for task in pending if task.done]
                    for task in done:
                        finished(task)
                    ended.update(done)
                    if not (began or done or any(task.waits for task in pending)):
                        # No graph of ours has such a ring; a plugin's tasks may, and would be waited for without end.
                        names = ", ".join(f"'{task.name}'" for task in pending)
                        raise RuntimeError(f"tasks wait for one another, or for one that is not run: {names}")
            finally:
                self._aside.clear()
                for task in pending:  # what was stopped in the middle of its work has a `finally` of its own to run
                    close(task)

    def _start(self, pending: Sequence[Task], lanes: Sequence[ThreadPoolExecutor]) -> bool:
        """Start whatever has its inputs; a plain function may let the next one start at once."""
        began, going = False, True
        while going:
            going = False
            for task in pending:
                if not task.begun and all(before.done for before in task.needs):
                    if is_stopping():
                        raise KeyboardInterrupt  # which somebody has caught, be it while a plugin was imported
                    self.beats += 1
                    begin(task, lanes)
                    if task.future:
                        self._aside.append(task)
                    going = True
            _admit(pending)
            began |= going
        return began

    def _settle(self, *, wait: bool) -> None:
        """Take what was done aside, in the order in which it began; wait for the first where nothing else goes on."""
        while self._aside:
            future = self._aside[0].future
            assert future is not None
            if not (wait or future.done() or len(self._aside) > MOST_ASIDE):
                return
            task, wait = self._aside.popleft(), False
            if error := future.exception():
                fail(task, error)
            else:
                take_up(task, future.result())
                _admit([task])

    def _tick(self, waiting: Sequence[Task]) -> None:
        asked = [(task, i) for task in waiting for i in range(len(task.parts)) if task.replies[i] is MISSING]
        # gradients wait for each other: one backward pass for all images
        ready = [(t, i) for t, i in asked if not isinstance(t.parts[i], Backward)] or asked
        try:
            batches = pack([task.parts[i] for task, i in ready], self.buckets, self._narrower)
        except BaseException as error:  # something waits that is nothing to evaluate: whoever asked for it hears so
            if is_stop(error):
                raise
            ready = _askable(ready)
            batches = pack([task.parts[i] for task, i in ready], self.buckets, self._narrower)
        # All calls of a tick come before anybody goes on: what is asked next meets what others ask next.
        # What waits for the device comes last: it works on all the others meanwhile.
        for batch in sorted(batches, key=lambda batch: batch.kind == "read"):
            self._evaluate(batch, [ready[place] for place in batch.places])
        for task in waiting:
            if task.thrown or not any(reply is MISSING for reply in task.replies):
                self.beats += 1
                resume(task, task.replies)

    def _evaluate(self, batch: Batch, asked: list[tuple[Task, int]]) -> None:
        """Answer what one call can; where it fails, halve it until whose fault it is stands alone.

        Where memory is short, captured graphs give theirs back first.
        """
        parts, again = [task.parts[i] for task, i in asked], False
        self.beats += 1
        try:
            with _evaluating(task for task, _ in asked):
                answers = _answer(batch, parts)
            if len(answers) != len(parts):
                raise ValueError(f"a batched function gave {len(answers)} results for {len(parts)} items")
        except BaseException as error:
            if is_stop(error):
                raise
            # The frames of the failed call hold its tensors; halves would run out of memory beside them.
            _release(error)
            answers = None
            short = isinstance(error, torch.OutOfMemoryError | MemoryError)
            again = short and give_back_memory()
            if short and not again and not self.buckets.fixed:
                key = key_of(parts[0])  # from the next tick on
                self._narrower[key] = self._narrower.get(key, self.buckets).below(batch.rows)
            if len(asked) == 1 and not again:
                asked[0][0].thrown = error
                return
        # Outside the handler, which would keep what failed alive
        if again:
            self._evaluate(batch, asked)
            return
        if answers is None:
            middle = len(asked) // 2
            for half in (asked[:middle], asked[middle:]):
                rows = sum(rows_of(task.parts[i]) for task, i in half)
                bucket = batch.bucket if self.buckets.fixed else rows
                self._evaluate(Batch(batch.kind, bucket, rows=rows), half)
            return
        for (task, i), part, answer in zip(asked, parts, answers, strict=True):
            task.replies[i] = answer
            if task.care and task.care.strange:
                task.care.answered(part, answer)
            if isinstance(part, Group):
                task.rows += len(part.rows)
                if answer.kept:
                    task.kept = all_kept(task.kept, answer.kept)
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


def _pending(tasks: Sequence[Task], ended: Container[Task]) -> list[Task]:
    """The tasks that are wanted and have not ended, after those that need not be made have taken their results."""
    while unread := [task for task in tasks if task.wanted and task.instead]:
        for task in unread:
            recall(task)
        _admit(unread)
    return [task for task in tasks if task.wanted and task not in ended]


def _admit(tasks: Sequence[Task]) -> None:
    """Let others take what was made, if it is what its stage declares.  The device is waited for once."""
    asked: list[tuple[Task, Doubt]] = []
    for task in tasks:
        if task.done or not task.made:
            continue
        task.done = True
        asked += [(task, Doubt(fine, BrokenTouch(*what))) for what, fine in task.kept.items()]
        try:
            if task.care:
                task.result, doubts = task.care.admitted(task.result)
                asked += [(task, doubt) for doubt in doubts]
        except BaseException as error:
            fail(task, error)
    # One transfer a device: each flag by itself would have the host wait for the device as often.
    flags = [doubt.fine for _, doubt in asked]
    found: dict[int, bool] = {}
    for device in dict.fromkeys(flag.device for flag in flags):
        places = [i for i, flag in enumerate(flags) if flag.device == device]
        found.update(zip(places, torch.stack([flags[i] for i in places]).tolist(), strict=True))
    for (task, doubt), fine in zip(asked, [found[i] for i in range(len(flags))], strict=True):
        if not fine and task.error is None:
            task.error, task.result = doubt.error, None


def _askable(asked: Sequence[tuple[Task, int]]) -> list[tuple[Task, int]]:
    """The parts that can be packed, the functions of plugins being whatever they are; who asks others hears why."""
    fine: list[tuple[Task, int]] = []
    keys: dict[Key, None] = {}
    for task, i in asked:
        try:
            keys.setdefault(key_of(task.parts[i]))  # asks for its hash, and whether it equals those that have the same
        except BaseException as error:
            if is_stop(error):
                raise
            task.thrown = error
        else:
            fine.append((task, i))
    return fine


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


def _evaluating(tasks: Iterable[Task]) -> AbstractContextManager[None]:
    """What surrounds a call: where strangers take part, what these change meanwhile is told to all who asked."""
    cares = list({id(task.care): task.care for task in tasks if task.care and task.care.strange}.values())
    return cares[0].evaluating(cares[1:]) if cares else nullcontext()


def _answer(batch: Batch, parts: Sequence[Any]) -> Sequence[Any]:
    match parts[0]:
        case Group():
            core = parts[0].rows[0].model.core
            return _replies(core, core.forward(parts, batch.bucket), parts)
        case Call(function=function):
            with torch.set_grad_enabled(parts[0].item.requires_grad):
                items = padded(torch.stack([part.item for part in parts]), batch.bucket)
                made = function(items)
                if isinstance(made, torch.Tensor):
                    return made[: len(parts)].unbind(0)
                # A function that gives several tensors gives several for each item.
                return list(zip(*(each[: len(parts)].unbind(0) for each in made), strict=True))
        case _:
            # One pass for all: the losses of independent images add
            leaves = [leaf for part in parts for leaf in part.leaves]
            losses = [part.loss for part in parts]
            grads = backward_repeatable(
                lambda: torch.autograd.grad(losses, leaves, retain_graph=True, allow_unused=True)
            )
            filled = iter(
                torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves, grads, strict=True)
            )
            return [tuple(next(filled) for _ in part.leaves) for part in parts]


def _replies(core: object, made: Any, groups: Sequence[Group]) -> Sequence[Reply]:
    """What a network answered, which may be of a stage's own making: one reply a group, one prediction a row."""
    wanted = "a Denoiser whose core.forward gives a Reply for each group, with a Prediction for each row"
    if not isinstance(made, Sequence) or len(made) != len(groups):
        raise WrongAnswer(core, wanted, described(made) if not isinstance(made, Sequence) else f"{len(made)} of them")
    for group, reply in zip(groups, made, strict=True):
        if not isinstance(reply, Reply):
            raise WrongAnswer(core, wanted, described(reply))
        if [type(each) for each in reply.predictions] != [Prediction] * len(group.rows):
            raise WrongAnswer(core, wanted, f"{len(reply.predictions)} for {len(group.rows)} rows")
        for row, each in zip(group.rows, reply.predictions, strict=True):
            if not isinstance(each.pair, torch.Tensor) or each.pair.shape != (2, *row.x.shape):
                raise WrongAnswer(core, wanted, described(each.pair))
    return made


def _release(error: BaseException | None) -> None:
    """Free what the frames of a failed call hold: the halves need its memory.  Where it failed can still be read."""
    seen: set[int] = set()  # who raises may have made a ring of them
    while error and id(error) not in seen:
        seen.add(id(error))
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
