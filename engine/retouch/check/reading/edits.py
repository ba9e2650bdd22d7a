"""Edits: what is written, and the prompts that follow from it and the caption."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from retouch.check.reading.captions import check_words, normal_caption
from retouch.check.reading.names import NameScope, one_of
from retouch.check.reading.option_values import described
from retouch.core.words import places
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.mistakes.foreign_prompts import Place
from retouch.near import near


@dataclass(frozen=True, slots=True)
class Change:
    """One part of an edit; its places never take part in equality."""

    kind: Literal["replace", "add", "remove", "weigh", "prompt"]
    old: str = ""
    new: str = ""
    weight: float | None = None
    span: s.Span = field(default=s.NOWHERE, compare=False)
    word: s.Span = field(default=s.NOWHERE, compare=False)  # of the words that must occur in the caption


@dataclass(frozen=True, slots=True)
class Prompts:
    """What a turn's edit comes to."""

    source: str = ""
    target: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    weights: tuple[tuple[str, float], ...] = ()


def read_edit(operand: Iterable[s.Value], scope: NameScope, report: Report) -> tuple[Change, ...] | None:
    """Return the changes that are written, with names filled in; None, and diagnostics, if one cannot be read."""
    before = report.wrong
    changes = tuple(change for value in operand for change in _changes(value, scope, report))
    return None if report.wrong > before else changes


def _changes(value: s.Value, scope: NameScope, report: Report) -> Iterator[Change]:
    match value:
        case s.Ref():
            if written := scope.written(value):
                yield from _changes(written.value, scope, report)
        case s.GroupSyntax(changes=changes):
            for change in changes:
                yield from _changes(change, scope, report)
        case s.Text(value=text):
            check_words(text, value.span, "prompt", report)
            yield Change("prompt", new=normal_caption(text), span=value.span, word=value.span)
        case s.Replace(source=old, target=new, weight=weight):
            words = _text(old, scope, report, "old"), _text(new, scope, report, "new")
            factor = _factor(weight, scope, report)
            yield Change("replace", *words, factor, value.span, old.span)
        case s.Add(word=word, weight=weight):
            text, factor = _text(word, scope, report, "new"), _factor(weight, scope, report)
            yield Change("add", "", text, factor, value.span, word.span)
        case s.Remove(word=word):
            yield Change("remove", _text(word, scope, report, "old"), span=value.span, word=word.span)
        case s.Weigh(word=word, weight=weight):
            factor = _factor(weight, scope, report)
            yield Change("weigh", _text(word, scope, report, "old"), weight=factor, span=value.span, word=word.span)
        case s.List(items=(_, *_)):
            yield from _changes(one_of(value, "edit", scope.choices), scope, report)
        case _:
            _wrong("an edit", "an edit or a prompt", value, report)


def _text(value: s.Value, scope: NameScope, report: Report, place: Place) -> str:
    written = scope.written(value)
    match scope.one(written, "edit").value if written else None:
        case s.Text(value=text, span=span):
            check_words(text, span, place, report)
            return normal_caption(text)
        case None:
            pass
        case other:
            _wrong("a side of an edit", "a text", other, report, value.span)
    return ""


def _factor(value: s.Value | None, scope: NameScope, report: Report) -> float | None:
    written = scope.written(value) if value else None
    match scope.one(written, "weight").value if written else None:
        case s.Number() as number:
            return float(number.value)
        case None:
            pass
        case other:
            _wrong("a weight", "a number", other, report, value.span if value else None)
    return None


def _wrong(name: str, wanted: str, value: s.SyntaxNode, report: Report, span: s.Span | None = None) -> None:
    report.add("RT207", span or value.span, name=name, wanted=wanted, got=described(value), mend='write "cat"->"dog"')


def prompts(caption: str | None, changes: tuple[Change, ...], report: Report) -> Prompts:
    """Return the prompts before and after; what cannot be done to the caption is reported."""
    if caption is None:
        return _without_caption(changes, report)
    prompt = next((change.new for change in changes if change.kind == "prompt"), None)
    target = prompt if prompt is not None else _changed(caption, changes, report)
    for change in changes:
        if change.kind == "weigh" and not places(change.old, target):
            _absent(change, target, report)
    pairs = tuple((c.old, c.new) for c in changes if c.kind in ("replace", "add", "remove"))
    return Prompts(caption, target, pairs, _weights(changes))


def caption_with(captions: Sequence[str | None], changes: Iterable[Change]) -> str | None:
    """Return the first of several captions that all words to be replaced or removed stand in; else the first."""
    words = [change.old for change in changes if change.kind in ("replace", "remove")]
    fitting = (each for each in captions if each is not None and all(places(word, each) for word in words))
    return next(fitting, captions[0])


def check_change(changes: tuple[Change, ...], made: Prompts, report: Report) -> None:
    """Report an edit that leaves the words as they are and gives none of them weight.

    One part of an edit may do so, such as one row of a table of many; all of it may not.
    """
    if not changes or made.weights or made.source != made.target:
        return
    if changes[0].kind == "prompt":
        report.add("RT318", changes[0].span)
    elif all(change.old == change.new for change in changes):
        report.add("RT313", changes[0].span.to(changes[-1].span))


def _weights(changes: Iterable[Change]) -> tuple[tuple[str, float], ...]:
    return tuple((c.old if c.kind == "weigh" else c.new, c.weight) for c in changes if c.weight is not None)


def _without_caption(changes: tuple[Change, ...], report: Report) -> Prompts:
    """Take the sides of a single change as the prompts; anything else needs a caption, and there is none."""
    doing = {"add": "adding words", "remove": "removing words", "weigh": "weighing a word"}
    for change in changes:
        if change.kind in doing:
            report.add("RT308", change.span, what=doing[change.kind])
        elif len(changes) > 1:
            report.add("RT308", change.span, what="an edit of several changes")
            break
    if not changes:
        return Prompts()
    first = changes[0]
    pairs = ((first.old, first.new),) if first.kind == "replace" else ()
    return Prompts(first.old, first.new, pairs, _weights(changes))


def _changed(caption: str, changes: tuple[Change, ...], report: Report) -> str:
    """Return all changes at once, each at every place where its words stand in the caption."""
    cuts: list[tuple[int, int, Change]] = []
    for change in changes:
        if change.kind in ("replace", "remove"):
            found = places(change.old, caption)
            cuts += [(start, end, change) for start, end in found]
            if not found:
                _absent(change, caption, report)
    # By place alone: changes themselves have no order.
    cuts.sort(key=lambda cut: cut[:2])
    for (_, end, first), (start, _, then) in pairwise(cuts):
        if start < end:
            notes = (("the other is here", first.span),)
            report.add("RT311", then.word, a=first.old, b=then.old, notes=notes)
            # The caption as it was: what is told of the prompts after it is told of something.
            return caption
    made, at = "", 0
    for start, end, change in cuts:
        made += caption[at:start] + change.new
        at = end
    made += caption[at:]
    # Words that go leave their commas and blanks, which a model reads as tokens.
    if any(change.kind == "remove" for change in changes):
        made = re.sub(r"\s+", " ", re.sub(r"\s*,(\s*,)+", ",", made)).strip(" ,")
    return ", ".join([*([made] if made else []), *(c.new for c in changes if c.kind == "add" and c.new)])


def _absent(change: Change, caption: str, report: Report) -> None:
    mend = near(change.old, re.findall(r"\w+", caption)) or f"write words of the caption, such as {json.dumps(caption)}"
    report.add("RT306", change.word, word=change.old, caption=caption, mend=mend)
