"""Words on a model that reads none, or classes alone: stages, edits and prompts, guidance between prompts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.check.wiring.turn_settings import TurnSettings
from retouch.graph.ports import GUIDANCE, NEGATIVE
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import NOWHERE, Span

if TYPE_CHECKING:
    from retouch.check.wiring.context import Context
    from retouch.models.info import ModelInfo

READER = 'a model that reads text: model "storybook"'
# Scales of what lies between two prompts' predictions; at 1 the prompt's own is all that is asked for.
SCALES = (GUIDANCE.name, "source_guidance")


class _Written(NamedTuple):
    """Words in a recipe: what they are, the texts of which they are made, and where they stand."""

    what: str
    texts: tuple[str, ...]
    span: Span
    source: str | None = None


def check_words(
    call: StageCall, options: Mapping[str, Given], turn: TurnSettings, model: ModelInfo, report: Report
) -> bool:
    """Report what a stage does by words or is told in words that its model does not read.

    Returns whether the stage itself is out of place there.
    """
    if model.known.classes:
        # Such a model is told the number of a class
        count = model.known.classes
        for words in _written(call, turn):
            wrong = [text for text in words.texts if not (text.isascii() and text.isdigit() and int(text) < count)]
            if wrong and not turn.read:
                mend = f"write the number of one, from 0 to {count - 1}"
                report.add("RT329", words.span, source=words.source, text=wrong[0], model=model.name, mend=mend)
    if model.known.reads_words:
        return False
    if call.card.needs_words:
        use = f"use '{call.card.instead}', or " if call.card.instead else "use "
        report.add("RT326", call.span, stage=call.card.name, model=model.name, mend=use + READER)
        return True
    if turn.read or call.card.words == "own":
        return False
    for words in _written(call, turn):
        mend = f"delete {words.what}, or use {READER}"
        report.add("RT327", words.span, source=words.source, model=model.name, mend=mend)
    for name in SCALES:
        given = options.get(name)
        if given and given.value != 1 and (name != GUIDANCE.name or call.card.output == "Guidance"):
            place = call.span if given.span == NOWHERE and given.source is None else given.span
            mend, value = f"write {name}=1, or delete it", f"{given.value:g}"
            report.add("RT328", place, source=given.source, name=name, value=value, model=model.name, mend=mend)
    return False


def check_caption(calls: Iterable[StageCall], models: Iterable[ModelInfo], context: Context) -> None:
    """Tell of a caption that somebody gave and no stage of the flow reads, since none of its models does."""
    calls, models = list(calls), list(models)
    read = any(model.known.reads_words for model in models) or any(call.card.words == "own" for call in calls)
    if read or not any(call.card.takes("Denoiser") for call in calls):
        return
    why = f"'{models[0].name}' reads no words"
    opened = next((call for call in calls if call.card.family == "open"), None)
    if opened and (given := opened.given.get("caption")):
        context.report.add("RT227", given.span, name="caption", why=why)
    elif context.world.caption is not None and not (opened and "path" in opened.given):
        source = f"--caption {json.dumps(context.world.caption, ensure_ascii=False)}"
        context.report.add("RT227", Span(0, len("--caption")), source=source, name="--caption", why=why)


def _written(call: StageCall, turn: TurnSettings) -> Iterator[_Written]:
    """What this stage says in words, and what it reads of its turn's."""
    for edit in filter(None, (call.edit, call.own_edit)):
        what = "the prompt" if edit[0].kind == "prompt" else "the edit"
        texts = tuple(text for change in edit for text in (change.old, change.new) if text)
        yield _Written(what, texts, edit[0].span.to(edit[-1].span))
    if call.card.takes("NegativePrompt", "Edit") and (negative := turn.of(NEGATIVE)).value:
        yield _Written(f"'{NEGATIVE.name}'", (negative.value,), negative.span, negative.source)
