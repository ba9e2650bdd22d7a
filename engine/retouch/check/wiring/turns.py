"""Where the turns of a flow end.

At `sample`, and where one is put in because the next stage needs its result; behind a stage that makes the edited
latents by itself, such as `distil dds`, where another turn begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from retouch.check.reading.calls import StageCall
from retouch.check.reading.flows import Alternatives, Flow, calls_of
from retouch.graph.ports import PICTURE
from retouch.lang import syntax as s

# A turn that holds one of these has work that only sampling turns into a picture.
OPEN = frozenset({"Trajectory", "AttentionControl", "Blend"})
MADE = "edited latents"  # beside the types that a turn has made: its picture, without a walk


@dataclass(frozen=True, slots=True)
class TurnStages:
    """Stages from one picture to the next.

    by: the stage that ends it, or that wants it ended.
    made: whether its picture is made without a walk, so that it ends here and nothing is put in.
    put_in: why a `sample` is put in at its end, if the recipe has none; place: of the stage that wants it.
    taker: the stage that needs the picture; what it takes besides belongs to this turn.
    """

    parts: Flow
    put_in: str | None = None
    taker: StageCall | None = None
    place: s.Span = s.NOWHERE
    by: str = ""
    made: bool = False

    @property
    def everything(self) -> tuple[StageCall, ...]:
        """All its stages, those of every alternative among them."""
        return (*calls_of(self.parts), *([self.taker] if self.taker else []))


def split(flow: Iterable[StageCall | Alternatives]) -> list[TurnStages]:
    """Return the turns of a flow, in order; the last one may still be open."""
    turns: list[TurnStages] = []
    now: list[StageCall | Alternatives] = []
    made: set[str | None] = set()
    for part in flow:
        outputs = {call.card.output for call in calls_of((part,))}
        # What is open becomes a picture by sampling alone, and this stage wants that picture.
        if isinstance(part, StageCall) and made & OPEN and (takes_image(part) or part.card.family == "decode"):
            turns.append(
                TurnStages(tuple(now), f"'{part.card.name}' needs the edited image", part, part.span, part.card.name)
            )
            now, made = [], set()
            continue
        edits = any(call.card.edits_latents for call in calls_of((part,)))
        makers = [call for call in calls_of((part,)) if call.card.output == "Trajectory"]
        begins = edits or ("Trajectory" in outputs and not makers[0].card.takes("Trajectory"))
        if begins and (MADE in made or "Trajectory" in made):
            if MADE in made:
                pictures = [
                    i for i, part in enumerate(now) if any(call.card.output in PICTURE for call in calls_of((part,)))
                ]
                now, ahead = now[: pictures[-1] + 1], now[pictures[-1] + 1 :]
                maker = next(call for call in calls_of(tuple(now)) if call.card.edits_latents)
                turns.append(TurnStages(tuple(now), place=maker.span, by=maker.card.name, made=True))
            else:
                name = "first" if isinstance(part, Alternatives) else part.card.name
                # Schedules at the end of a turn are for the inversion that follows.
                end = len(now)
                while end and isinstance(last := now[end - 1], StageCall) and last.card.output == "Schedule":
                    end -= 1
                now, ahead = now[:end], now[end:]
                turns.append(TurnStages(tuple(now), f"'{name}' begins another turn", place=part.span, by=name))
            now, made = ahead, {call.card.output for call in calls_of(tuple(ahead))}
        now.append(part)
        made |= outputs | ({MADE} if edits else set())
        if isinstance(part, StageCall) and (part.card.family == "sample" or part.makes_turns):
            turns.append(TurnStages(tuple(now), place=part.span, by=part.card.name))
            now, made = [], set()
    return [*turns, TurnStages(tuple(now))] if now else turns


def is_open(flow: Iterable[StageCall | Alternatives]) -> bool:
    """Return whether something in these stages waits to be sampled."""
    turns = split(flow)
    return bool(turns and not turns[-1].taker and {call.card.output for call in turns[-1].everything} & OPEN)


def takes_image(call: StageCall) -> bool:
    """Return whether the stage takes the picture of its own flow as an image."""
    return any(port.type == "Image" and not port.optional and port.name not in call.flows for port in call.card.ports)
