"""Words on a model that reads none: stages that work by them, edits and prompts, and guidance between prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.check.wiring.turn_settings import TurnSettings
from retouch.graph.ports import GUIDANCE, NEGATIVE
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import NOWHERE, Span

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo

READER = 'a model that reads text: model "storybook"'
# Scales of what lies between two prompts' predictions; at 1 the prompt's own is all that is asked for.
SCALES = (GUIDANCE.name, "source_guidance")


class _Unread(NamedTuple):
    """Words that nobody reads: what they are, and where they are written."""

    what: str
    span: Span
    source: str | None = None


def check_words(
    call: StageCall, options: Mapping[str, Given], turn: TurnSettings, model: ModelInfo, report: Report
) -> bool:
    """Report what a stage does by words or is told in words that its model does not read.

    Returns whether the stage itself is out of place there.
    """
    if model.known.reads_words:
        return False
    if call.card.needs_words:
        use = f"use '{call.card.instead}', or " if call.card.instead else "use "
        report.add("RT326", call.span, stage=call.card.name, model=model.name, mend=use + READER)
        return True
    if turn.read or call.card.words == "own":
        return False
    for words in _unread(call, turn):
        mend = f"delete {words.what}, or use {READER}"
        report.add("RT327", words.span, source=words.source, model=model.name, mend=mend)
    for name in SCALES:
        given = options.get(name)
        if given and given.value != 1 and (name != GUIDANCE.name or call.card.output == "Guidance"):
            place = call.span if given.span == NOWHERE and given.source is None else given.span
            mend, value = f"write {name}=1, or delete it", f"{given.value:g}"
            report.add("RT328", place, source=given.source, name=name, value=value, model=model.name, mend=mend)
    return False


def _unread(call: StageCall, turn: TurnSettings) -> Iterator[_Unread]:
    for edit in filter(None, (call.edit, call.own_edit)):
        what = "the prompt" if edit[0].kind == "prompt" else "the edit"
        yield _Unread(what, edit[0].span.to(edit[-1].span))
    if call.card.takes("NegativePrompt", "Edit") and (negative := turn.of(NEGATIVE)).value:
        yield _Unread(f"'{NEGATIVE.name}'", negative.span, negative.source)
