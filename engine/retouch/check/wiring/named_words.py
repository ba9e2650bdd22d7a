"""Options that name words of a prompt, which have to stand in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.check.reading.near import near
from retouch.core.words import places
from retouch.graph.nodes import FromEngine, Input
from retouch.lang.diagnostics import Report

_NAMES = {"source": ("source",), "target": ("target",), "either": ("source", "target")}
_CALLED = {"source": "the caption", "target": "the target prompt"}


def check_named_words(
    call: StageCall, options: Mapping[str, Given], inputs: Mapping[str, Input], report: Report
) -> None:
    """Report words that stand in none of the prompts that their option speaks of."""
    texts = _texts(call, inputs)
    for option in call.card.options:
        given = options[option.name]
        wanted = {name: texts[name] for name in _NAMES.get(option.kind.words, ()) if name in texts}
        said = given.value if isinstance(given.value, tuple) else (given.value,) if given.value else ()
        if not wanted:
            continue
        where = " or ".join(f"{_CALLED[name]} {json.dumps(text, ensure_ascii=False)}" for name, text in wanted.items())
        for word in said:
            if isinstance(word, str) and not any(places(word, text) for text in wanted.values()):
                mend = _mend(word, list(wanted.values()))
                name, source = call.card.name, given.source
                report.add("RT316", given.span, source=source, stage=name, word=word, where=where, mend=mend)


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
