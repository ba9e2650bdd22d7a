"""Values of options: what is written, checked against what the option takes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from retouch.check.reading.captions import check_words, normal_caption
from retouch.check.reading.environment import Written
from retouch.check.reading.names import BoundTurn, one_of
from retouch.check.reading.variants import Choices
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.near import nearest
from retouch.plugins.signatures import Kind, Option

WHOLE = re.compile(r"(-?\d+)", re.ASCII)
NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)%?", re.ASCII)
NAMES = (
    "path",
    "name",
    "revision",
    "base",
    "vae",
    "lora",
)  # of files and models, to the letter; other texts are words of captions
SURELY_PERCENT = 10  # what is less, and more than 1, may be meant as a count
REFUSED = object()  # reported already


def read(option: Option, written: Written, choices: Choices, report: Report) -> Any:
    """Return the value that this variant takes, or REFUSED."""
    kind, value = option.kind, written.value
    while isinstance(value, s.List) and _is_axis(value, kind):
        value = one_of(value, option.name, choices)
    if not kind.many:
        return _one(option, value, written, report)
    if not isinstance(value, s.List):
        _wrong(option, kind, value, written, report)
        return REFUSED
    found = tuple(_one(option, item, written, report) for item in value.items)
    return REFUSED if REFUSED in found else found


def places(kind: Kind, written: Written) -> tuple[s.Span, ...]:
    """Where each item of a list stands, if the option takes one and the recipe writes it out."""
    match written:
        case Written(value=s.List(items=items) as value, source=None) if kind.many and not _is_axis(value, kind):
            return tuple(item.span for item in items)
        case _:
            return ()


def _is_axis(value: s.List, kind: Kind) -> bool:
    """Return whether a list stands where one value is expected, or a list of lists where a list is."""
    return bool(value.items) and (not kind.many or all(isinstance(item, s.List) for item in value.items))


def _one(option: Option, value: s.Value, written: Written, report: Report) -> Any:
    name, kind = option.name, replace(option.kind, many=False)
    match kind.type, value:
        case "int", s.Number(raw=raw) if WHOLE.fullmatch(raw):
            found = value.value
        case "float", s.Number():
            found = float(value.value) + 0.0  # -0.0 is 0.0, or one value would be two in keys and names of files
        case "text", s.Text(value=text):
            # Text that a model reads is brought to one form; names, choices and forms mean what stands there.
            words = name not in NAMES and not kind.choices and not kind.form
            found = normal_caption(text) if words else text
            if words:
                place = "prompt" if name == "caption" else "option"
                check_words(text, value.span if written.source is None else written.span, place, report, written.source)
        case "bool", s.Bool(value=found):
            pass
        case _:
            _wrong(option, kind, value, written, report)
            return REFUSED
    if kind.choices and found not in kind.choices:
        meant = nearest(found, map(str, kind.choices)) if isinstance(found, str) else None  # which is told first
        mend = ", ".join(json.dumps(choice) for choice in sorted(kind.choices, key=lambda each: each != meant))
        report.add("RT209", written.span, source=written.source, name=name, got=json.dumps(found), mend=mend)
        return REFUSED
    if isinstance(found, str) and not kind.formed(found):
        facts: dict[str, Any] = {
            "name": name,
            "wanted": str(kind),
            "got": json.dumps(found),
            "mend": f"write {_in_its_list(option, _usual(kind))}",
        }
        report.add("RT228", written.span, source=written.source, **facts)
        return REFUSED
    if isinstance(found, int | float) and not kind.within(found):
        _out_of_range(name, kind, value, written, report)
        return REFUSED
    return found


def example(option: Option) -> str:
    """A value that the option takes, as a recipe writes it: its default, or the least."""
    value = option.default if option.default is not None else option.kind.low or 0
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, int | float) else "…"


def _out_of_range(name: str, kind: Kind, value: s.Value, written: Written, report: Report) -> None:
    raw = value.raw if isinstance(value, s.Number) else ""
    low, high = (f"{end:.10g}" for end in (kind.low or 0, kind.high or 0))
    mend = f"write a number from {low} to {high}"
    if kind.type == "float" and (kind.low, kind.high) == (0, 1) and isinstance(value, s.Number) and value.value > 1:
        if SURELY_PERCENT <= value.value <= 100:
            mend = f"write {name}={raw}%"
        else:  # it may as well be a count, of steps for instance
            mend += "; it is a share and no count: 0.5 or 50% is half of the whole"
    report.add("RT208", written.span, source=written.source, name=name, low=low, high=high, got=raw, mend=mend)


def _wrong(option: Option, kind: Kind, value: s.Value, written: Written, report: Report) -> None:
    wanted, got, mend = str(kind), described(value), f"write {option.name}={_meant(option, value)}"
    report.add("RT207", written.span, source=written.source, name=option.name, wanted=wanted, got=got, mend=mend)


def _meant(option: Option, value: s.Value) -> str:
    """Return what the option takes that is nearest to what was written."""
    kind, example = replace(option.kind, many=False), ""
    match value:
        case s.Text(value=text) | s.Number(raw=text) if kind.type == "text":
            example = json.dumps(text, ensure_ascii=False) if text and kind.takes(text) else ""
        case s.Number(raw=raw) if kind.type == "int" and not raw.endswith("%"):
            example = f"{_within(kind, round(value.value)):.0f}"
        case s.Text(value=text) if kind.type == "bool":
            example = text if text in ("true", "false") else ""
        case s.Text(value=text) if number := (WHOLE if kind.type == "int" else NUMBER).fullmatch(text):
            share = 0.01 if text.endswith("%") else 1
            example = text if kind.within(float(number[1]) * share) else ""
        case _:
            pass
    return _in_its_list(option, example or _usual(kind))


def _usual(kind: Kind) -> str:
    """Return a value that such an option takes."""
    if kind.choices or kind.form:
        return json.dumps(kind.choices[0] if kind.choices else kind.form and kind.form.example, ensure_ascii=False)
    numbers = {"int": f"{_within(kind, 50):.0f}", "float": f"{_within(kind, 0.5):g}"}
    return numbers.get(kind.type) or ("true" if kind.type == "bool" else '"…"')


def _in_its_list(option: Option, example: str) -> str:
    return f"[{example}]" if option.kind.many else example


def _within(kind: Kind, number: float) -> float:
    low = kind.low if kind.low is not None else number
    return max(low, min(number, kind.high if kind.high is not None else number))


_IN_WORDS = {
    s.Text: "a text",
    s.Bool: "true or false",
    s.List: "a list",
    s.Ref: "a name",
    s.RowSyntax: "a row",
    s.CallSyntax: "a call",
    s.TurnSyntax: "a flow in brackets",
    BoundTurn: "a flow in brackets",
}


def described(value: s.SyntaxNode) -> str:
    """Say what kind of value this is, for a message."""
    if isinstance(value, s.Number):
        return "a percentage" if value.raw.endswith("%") else f"the number {value.raw}"
    return _IN_WORDS.get(type(value), "an edit")
