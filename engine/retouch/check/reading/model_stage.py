"""The stage `model`, read in one variant: texts with the values that names in their brackets stand for."""

from __future__ import annotations

from dataclasses import replace

from retouch.check.reading.calls import CallReader, StageCall
from retouch.check.reading.files import Files, fields_of
from retouch.check.reading.given import Given
from retouch.check.reading.names import NameScope, one_of
from retouch.check.reading.variants import label
from retouch.lang import syntax as s
from retouch.plugins.signatures import Kind, Option, StageCard

# `model` is a stage of the language itself: it makes nothing, and what follows works with another model.
MODEL = StageCard(
    "model",
    "use",
    module="",
    function="",
    file="",
    line=0,
    options=(
        Option("name", "name", Kind("text"), required=True),
        Option("revision", "revision", Kind("text")),
        Option("base", "base", Kind("text")),
        Option("vae", "vae", Kind("text")),
        Option("lora", "lora", Kind("text", many=True)),
    ),
)


def read_model(reader: CallReader, files: Files, stage: s.Stage, scope: NameScope) -> StageCall | None:
    """Read a `model` stage; `{w}` in one of its texts is the name of a value, and an axis where that is a list."""
    call = reader.read_as(MODEL, stage, scope)
    if call is None:
        return None
    given = {name: _with_values(each, files, scope) for name, each in call.given.items()}
    found = {name: each for name, each in given.items() if each is not None}
    return replace(call, given=found) if len(found) == len(given) else None


def _with_values(given: Given, files: Files, scope: NameScope) -> Given | None:
    """The texts of an option with the values that names in brackets stand for."""
    several = isinstance(given.value, tuple)
    texts = [files.filled(given, text, _values(text, scope)) for text in (given.value if several else (given.value,))]
    whole = tuple(text for text in texts if text is not None)
    if len(whole) < len(texts):
        return None
    return replace(given, value=whole if several else whole[0])


def _values(text: str, scope: NameScope) -> dict[str, str]:
    """What the names in the brackets of a text stand for in this variant."""
    found: dict[str, str] = {}
    for name in fields_of(text):
        if (made := scope.get(name)) and made.value:
            made.used = True
            value = made.value.value
            found[name] = label(one_of(value, name, scope.choices) if isinstance(value, s.List) else value)
    return found
