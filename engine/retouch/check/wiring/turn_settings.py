"""What holds for a whole turn: its edit and prompts, and the options that are set once in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retouch.check.reading.edits import Change, Prompts, check_change, prompts
from retouch.check.reading.given import Given
from retouch.check.wiring.precedence import Precedence
from retouch.check.wiring.turns import TurnStages
from retouch.graph.nodes import FromEngine
from retouch.graph.ports import NEGATIVE, STEPS, turn_options
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.plugins.signatures import Option

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """One turn's edit, prompts and options."""

    edit: tuple[Change, ...]
    prompts: Prompts
    given: Mapping[str, Given]  # only what some stage of the turn says
    precedence: Precedence
    model: ModelInfo
    stages: tuple[str, ...] = ()  # of the turn, in their order: what suits the model in them holds for the turn
    read: bool = False  # whether a stage of the turn reads the prompts' words itself, so that any model will do

    def of(self, option: Option) -> Given:
        """Return an option of the turn: as a stage says it, or from the next place of the table that does."""
        return self.precedence.of(option, self.model, self.stages, self.given.get(option.name))

    @property
    def schedule(self) -> FromEngine:
        return FromEngine("Schedule", {"steps": self.of(STEPS).value})

    def prompt(self, type_: str, own: Prompts | None) -> FromEngine:
        """Return the edge of a prompt or of the edit, from the stage's own edit if it has one."""
        said, negative = own or self.prompts, self.of(NEGATIVE).value
        texts = {"SourcePrompt": said.source, "TargetPrompt": said.target, "NegativePrompt": negative}
        if type_ != "Edit":
            return FromEngine(type_, {"text": texts[type_]})
        both = {"source": said.source, "target": said.target, "negative": negative}
        return FromEngine(type_, {**both, "weights": said.weights, "changes": said.changes})


def nothing_said(precedence: Precedence, model: ModelInfo) -> TurnSettings:
    """Before the first turn: only defaults hold."""
    return TurnSettings((), Prompts(), {}, precedence, model)


def of_turn(
    turn: TurnStages,
    caption_of: Callable[[tuple[Change, ...]], str | None],
    before: TurnSettings,
    report: Report,
    about_caption: Report,
) -> TurnSettings:
    """Gather what the stages of a turn say for all of it; two that differ are an error."""
    # The edit beside a method is the turn's; without one, that of `edit=`.
    written = [call.edit for call in turn.everything if call.edit]
    found = written or [call.own_edit for call in turn.everything if call.own_edit]
    for other in found[1:]:
        if other != found[0]:
            report.add("RT305", _place(other), notes=(("the first is here", _place(found[0])),))
    edit = found[0] if found else ()
    said = prompts(caption_of(edit), edit, about_caption)
    check_change(edit, said, report)
    stages = tuple(call.card.name for call in turn.everything)
    read = any(call.card.words == "own" for call in turn.everything)
    return replace(before, edit=edit, prompts=said, given=_given(turn, report), stages=stages, read=read)


def _place(edit: tuple[Change, ...]) -> Span:
    return Span(edit[0].span.start, edit[-1].span.end)


def _given(turn: TurnStages, report: Report) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for call in turn.everything:
        own = {"guidance"} if call.card.output == "Guidance" else set[str]()
        for name in call.given.keys() & (turn_options(call.card).keys() | own):
            given = call.given[name]
            first = found.setdefault(name, given)
            if first.value != given.value:
                report.add("RT206", given.span, name=name, notes=(("first given here", first.span),))
    return found
