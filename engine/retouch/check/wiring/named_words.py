"""Words of a prompt that options name or an edit weighs: they have to stand in it, and the model has to read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.core.words import places
from retouch.graph.nodes import FromEngine, Input
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.models.errors import BrokenModel
from retouch.near import near

if TYPE_CHECKING:
    from retouch.models.prompts.prompt_reader import PromptReader

_NAMES = {"source": ("source",), "target": ("target",), "either": ("source", "target")}
_CALLED = {"source": "the caption", "target": "the target prompt"}


def check_named_words(
    call: StageCall,
    options: Mapping[str, Given],
    inputs: Mapping[str, Input],
    reader: PromptReader | None,
    report: Report,
) -> None:
    """Report words that stand in none of the prompts that their option speaks of, or beyond what the model reads."""
    texts = _texts(call, inputs)
    for option in call.card.options:
        given = options[option.name]
        wanted = {name: texts[name] for name in _NAMES.get(option.kind.words, ()) if name in texts}
        said = given.value if isinstance(given.value, tuple) else (given.value,) if given.value else ()
        for word in filter(lambda each: isinstance(each, str), said if wanted else ()):
            _check_word(word, wanted, call, given.span, given.source, reader, report)
    for edge in inputs.values():
        if isinstance(edge, FromEngine) and edge.type == "Edit":
            for word, _ in edge.settings["weights"]:
                _check_word(word, {"target": texts["target"]}, call, call.span, None, reader, report)


def _check_word(
    word: str,
    wanted: Mapping[str, str],
    call: StageCall,
    span: Span,
    source: str | None,
    reader: PromptReader | None,
    report: Report,
) -> None:
    texts = list(wanted.values())
    said = " or ".join(f"{_CALLED[name]} {json.dumps(text, ensure_ascii=False)}" for name, text in wanted.items())
    if not any(places(word, text) for text in texts):
        where, mend = said, _mend(word, texts)
    elif reader and not any(_is_read(word, text, reader) for text in texts):
        where, mend = f"what the model reads of {said}", "put it further to the front, or shorten what stands before it"
    else:
        return
    report.add("RT316", span, source=source, stage=call.card.name, word=word, where=where, mend=mend)


def _is_read(word: str, text: str, reader: PromptReader) -> bool:
    """Whether a token of the word is among those that the model reads, as `Prompt.positions` finds them."""
    if reader.reads_whole(text):
        return bool(places(word, text))
    try:
        spans = reader.heard(text).spans
    except BrokenModel:  # told when the model is loaded
        return True
    return any(start <= a < b <= end for start, end in places(word, text) for a, b in spans)


def _texts(call: StageCall, inputs: Mapping[str, Input]) -> dict[str, str]:
    """The prompts that a stage is given: each by its own port, or both in an edit."""
    found: dict[str, str] = {}
    for port in call.card.ports:
        given = inputs.get(port.name)
        if not isinstance(given, FromEngine):
            continue
        if port.type == "Edit":
            found |= {name: given.settings[name] for name in _CALLED}
        elif port.type in ("SourcePrompt", "TargetPrompt"):
            found[port.type.removesuffix("Prompt").lower()] = given.settings["text"]
    return found


def _mend(word: str, texts: list[str]) -> str:
    if not any(texts):
        return 'say what the picture shows: --caption "…", or open … caption="…"'
    spoken = [said for text in texts for said in re.findall(r"\w+", text)]
    return near(word, spoken) or "name words as they stand there"
