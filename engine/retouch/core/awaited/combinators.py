"""How stages await: side by side, through a batched function, and with a gradient.

Everything awaited yields one thing, an Ask.  Combinators only relabel and regroup its parts, so they nest in any order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from retouch.core.attention import AttentionControl
from retouch.core.awaited.requests import Ask, Backward, Call, Group, Part, Reply, Scope, as_ask, brought
from retouch.core.declared.touches import Touch
from retouch.core.errors import ForeignAwait
from retouch.core.panes import Pane
from retouch.core.schedule import Step
from retouch.core.values import AttentionMaps

T = TypeVar("T")


async def call(function: Callable[[Tensor], Any], item: Tensor) -> Any:
    """Apply a batched function to one item; what waits for the same function is done in one batch.

    function: [B, ...] -> [B, ...], or a tuple of such tensors, of which the item's rows are the answer.
    item: Tensor  # [...], without the batch axis, as the result
    """
    return (await Ask((Call(function, item),)))[0]


async def on_host(numbers: Tensor) -> Tensor:
    """Numbers on the host, for what hangs on their values.  [...], without a gradient

    On a GPU the host has to wait for them, and all pictures with it.  So all that ask for some are answered in one go,
    when everything else that a tick asks is under way; `float(x)`, `x.any()` in an `if`, or `nonzero` wait alone.
    """
    if numbers.device.type == "cpu":
        return numbers.detach()
    return (await Ask((Call(brought, numbers.detach()),)))[0]


def _awaited(child: Any) -> Any:
    if not hasattr(child, "__await__"):
        raise ForeignAwait(f"a {type(child).__name__}")
    return child.__await__()


class _Lockstep:
    """Children that advance one ask at a time, all together."""

    def __init__(self, children: Mapping[str, Awaitable[Any]]) -> None:
        self.running = {name: _awaited(child) for name, child in children.items()}
        self.done: dict[str, Any] = {}
        self.asks: dict[str, Ask] = {}
        self._advance(dict.fromkeys(children))

    def _advance(self, replies: Mapping[str, Any]) -> None:
        self.asks = {}
        try:
            for name, reply in replies.items():
                try:
                    self.asks[name] = as_ask(self.running[name].send(reply))
                except StopIteration as stop:
                    self.done[name] = stop.value
        except BaseException:  # one that fails, or is cancelled, takes its siblings along
            self.close()
            raise

    def close(self) -> None:
        for child in self.running.values():
            child.close()

    def parts(self) -> list[Part]:
        return [part.labelled(name) for name, ask in self.asks.items() for part in ask.parts]

    def reply(self, flat: Iterable[Any]) -> None:
        it = iter(flat)
        self._advance({name: list(islice(it, len(ask.parts))) for name, ask in self.asks.items()})


class Together(dict[str, Any]):
    """Results by branch, and for each recording that was asked for, the attention maps."""

    def __init__(self, results: Mapping[str, Any], maps: tuple[AttentionMaps, ...]) -> None:
        super().__init__(results)
        self.maps = maps


async def together(
    *,
    attention: Iterable[AttentionControl] = (),
    record: Sequence[Touch] = (),
    step: Step | None = None,
    **branches: Awaitable[Any],
) -> Together:
    """Run branches in lockstep.  Where a control or a recording joins them, their rows share a forward pass.

    attention: controls that act on the rows of these branches, in this order.
    record: attention maps to keep, each at one scale.
    step: the step of the walk, which tells controls how far it is.
    """
    controls, seen = tuple(attention), [AttentionMaps() for _ in record]
    lock = _Lockstep(branches)
    try:
        for touch in record:
            if touch.scale[0] != touch.scale[1]:
                raise ValueError(
                    f"a recording is of one scale, since maps of several sizes do not add; this is {touch.scale}"
                )
        while lock.asks:
            parts = lock.parts()
            if not controls and not record:  # nothing joins them: they may go separate ways
                lock.reply(await Ask(parts))
                continue
            joined = _joined(parts, controls, tuple(record), step)
            flat: dict[int, Any] = {}
            for piece, reply in zip(joined, await Ask([piece.whole for piece in joined]), strict=True):
                flat.update(piece.shared_out(reply))
                if piece.is_group:
                    seen = [
                        maps + piece.placed(more, touch)
                        for maps, more, touch in zip(seen, reply.maps[0], record, strict=True)
                    ]
            lock.reply([flat[i] for i in range(len(parts))])
    finally:
        lock.close()
    return Together({name: lock.done[name] for name in branches}, tuple(seen))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Parts that were made one, and where each of them stood."""

    whole: Part
    places: list[int]
    groups: list[Group] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        return bool(self.groups)

    def placed(self, maps: AttentionMaps, touch: Touch) -> AttentionMaps:
        """What was recorded, as maps of all the latents where its rows are a part of them."""
        pane = self.groups[0].pane
        return pane.placed(maps, int(touch.scale[0])) if pane else maps

    def shared_out(self, reply: Any) -> Iterable[tuple[int, Any]]:
        if not self.groups:
            return [(self.places[0], reply)]
        preds, maps = iter(reply.predictions), iter(reply.maps[1:])  # the first maps are of the scope that joined them
        answers = [Reply(tuple(islice(preds, len(g.rows))), tuple(islice(maps, len(g.scopes)))) for g in self.groups]
        return zip(self.places, answers, strict=True)


def _joined(
    parts: Sequence[Part], controls: tuple[AttentionControl, ...], record: tuple[Touch, ...], step: Step | None
) -> list[_Piece]:
    """Rows of one model meet in one group; two models, as in SINE, stay two, and so do windows of larger latents."""
    meeting: dict[Hashable, tuple[list[int], list[Group]]] = {}  # places among the parts, and the groups there
    pieces: list[_Piece] = []
    for i, part in enumerate(parts):
        if isinstance(part, Group):
            places, groups = meeting.setdefault(part.meeting, ([], []))
            places.append(i)
            groups.append(part)
        else:
            pieces.append(_Piece(part, [i]))
    for places, groups in meeting.values():
        rows = tuple([row for group in groups for row in group.rows])
        roles = tuple([role for group in groups for role in group.roles])
        # This scope is outermost, over all rows; those within keep their own rows, which now begin further down.
        scopes, start = [Scope(controls, record, step, 0, len(rows))], 0
        for group in groups:
            scopes += [s._replace(start=s.start + start, stop=s.stop + start) for s in group.scopes]
            start += len(group.rows)
        pieces.append(_Piece(Group(rows, roles, tuple(scopes), groups[0].pane), places, groups))
    return pieces


async def gather(ops: Iterable[Awaitable[T]]) -> list[T]:
    """Run independent operations side by side; results keep their order, rows are labelled by it."""
    lock = _Lockstep({str(i): op for i, op in enumerate(ops)})
    try:
        while lock.asks:
            lock.reply(await Ask(lock.parts()))
    finally:
        lock.close()
    return [lock.done[str(i)] for i in range(len(lock.done))]


async def through_panes(panes: Sequence[Pane], ops: Iterable[Awaitable[T]]) -> list[T]:
    """Run one operation for each part of larger latents, side by side; rows keep their labels, and say whose they are.

    What stands round them, such as a control that compares two branches, so joins the rows of one part alone.
    """
    lock = _Lockstep({str(i): op for i, op in enumerate(ops)})
    try:
        while lock.asks:
            asked = ((panes[int(i)], part) for i, ask in lock.asks.items() for part in ask.parts)
            parts = [part._replace(pane=pane) if isinstance(part, Group) else part for pane, part in asked]
            lock.reply(await Ask(parts))
    finally:
        lock.close()
    return [lock.done[str(i)] for i in range(len(lock.done))]


class Gradient(NamedTuple):
    """A loss, its gradient by each leaf (zeros where the loss does not depend on it), and what else came back."""

    loss: Tensor  # []
    grads: tuple[Tensor, ...]  # each of its leaf's shape
    extra: Any = None


async def value_and_grad(function: Callable[..., Awaitable[Any]], *at: Tensor) -> Gradient:
    """Differentiate an async function of tensors.  What it awaits is batched, and so is the backward pass.

    function: gets the tensors as leaves, may await anything, returns a scalar loss or (loss, extra).
    """
    leaves = tuple(t.detach().requires_grad_() for t in at)
    body, reply = _awaited(function(*leaves)), None
    try:
        while True:
            with torch.enable_grad():  # the mode belongs to the thread, so it is never held across a suspension
                ask = as_ask(body.send(reply))
            reply = await ask
    except StopIteration as stop:
        answer = stop.value
    finally:
        body.close()
    loss, extra = answer if isinstance(answer, tuple) else (answer, None)
    if not loss.requires_grad:  # it depends on no leaf
        return Gradient(loss, tuple(map(torch.zeros_like, at)), extra)
    answers = await Ask((Backward(loss, leaves),))
    # Taken out of the list, which whoever sent it holds: of a large network gradients go one by one as they are used.
    return Gradient(loss.detach(), answers.pop(), extra)
