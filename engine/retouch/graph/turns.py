"""Where the turns of a flow end: at `sample`, and where one is put in because the next stage needs its result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from retouch.graph.calls import Call
from retouch.lang import syntax as s

# A turn that holds one of these has work that only sampling turns into a picture.
OPEN = frozenset({"Trajectory", "AttentionControl", "Blend"})


@dataclass(frozen=True, slots=True)
class Turn:
    """Stages from one picture to the next.

    put_in: why a `sample` is put in at its end, if the recipe has none; place: of the stage that wants it.
    taker: the stage that needs the picture; what it takes besides belongs to this turn.
    """

    calls: tuple[Call, ...]
    put_in: str | None = None
    taker: Call | None = None
    place: s.Span = s.NOWHERE

    @property
    def everything(self) -> tuple[Call, ...]:
        return (*self.calls, self.taker) if self.taker else self.calls


def split(calls: Iterable[Call]) -> list[Turn]:
    """The turns of a flow, in order; the last one may still be open."""
    turns: list[Turn] = []
    now: list[Call] = []
    made: set[str | None] = set()
    for call in calls:
        name, output = call.card.name, call.card.output
        if made & OPEN and takes_image(call):
            turns.append(Turn(tuple(now), f"'{name}' needs the edited image", call, call.span))
            now, made = [], set()
            continue
        if output == "Trajectory" and "Trajectory" in made:
            turns.append(Turn(tuple(now), f"'{name}' begins another turn", place=call.span))
            now, made = [], set()
        now.append(call)
        made.add(output)
        if call.card.family == "sample":
            turns.append(Turn(tuple(now)))
            now, made = [], set()
    return [*turns, Turn(tuple(now))] if now else turns


def is_open(calls: Iterable[Call]) -> bool:
    """Whether something in these stages waits to be sampled."""
    turns = split(calls)
    return bool(turns and not turns[-1].taker and {call.card.output for call in turns[-1].calls} & OPEN)


def takes_image(call: Call) -> bool:
    """Whether the stage takes the picture of its own flow as an image."""
    return any(port.type == "Image" and not port.optional and port.name not in call.flows for port in call.card.ports)
