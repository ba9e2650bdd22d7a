"""Whether what `@stage` says can be meant: settings of the right kind, touches that can act, a default in its range."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import astuple
from types import UnionType
from typing import Any, get_args

from retouch.core.declared.demands import Moot, Need
from retouch.core.declared.touches import Access, Kind, Touch, What
from retouch.near import near_or_all
from retouch.plugins.signatures.literals import NotStatic
from retouch.plugins.signatures.signature import Option

_OF = {  # what can be touched at each kind of site
    "self": frozenset(get_args(What)) - {"features"},
    "cross": frozenset(get_args(What)) - {"features"},
    "resnet": frozenset({"features"}),
}
_PLACES = ("*", "down", "mid", "up")
_KINDS_OF_PREDICTION = ("epsilon", "v_prediction", "flow")


def check_settings(mark: ast.Call, settings: Mapping[str, Any], options: Collection[Option]) -> None:
    """Raise NotStatic where a setting of `@stage` is none that the engine knows what to do with."""
    for name, value in settings.items():
        if wrong := _misstated(name, value):
            raise NotStatic(mark, f"'{name}' {wrong}")
    for name in ("touches", "reads"):
        for touch in settings.get(name, ()):
            for wrong in _untouchable(touch, options):
                raise NotStatic(mark, f"'{name}' has a Touch whose {wrong}")


def check_name(mark: ast.Call, family: Any, method: Any) -> None:
    """Raise NotStatic where family or method is not a word that a recipe can write."""
    for what, word in (("family", family), ("method", method)):
        if not isinstance(word, str) or not re.fullmatch(r"[a-z_][a-z0-9_]*", word):
            raise NotStatic(mark, f"the {what} is a word of small letters, such as 'my_method', and this is {word!r}")


def check_default(node: ast.AST, option: Option) -> None:
    """Raise NotStatic where an option's own default is a value that no recipe may write."""
    kind, value = option.kind, option.default
    if option.required or (value is None and kind.optional) or kind.takes(value):
        return
    said = f"the default of '{option.name}' is {value!r}, and it takes {kind}{kind.bounds}"
    raise NotStatic(node, f"{said}; write '| None' in its type" if value is None else said)


def _misstated(name: str, value: Any) -> str:
    """Say what is wrong with one setting; empty if nothing is."""
    kinds = _all(value, str) and all(each in _KINDS_OF_PREDICTION for each in value)
    right: Mapping[str, tuple[bool, str]] = {
        "paper": (isinstance(value, str), "is a text"),
        "version": (_whole(value), "is a whole number"),
        "api": (_whole(value), "is a whole number"),
        "stability": (value in ("stable", "experimental"), 'is "stable" or "experimental"'),
        "default": (isinstance(value, bool), "is True or False"),
        "touches": (_all(value, Touch), "is a tuple, (Touch(…),)"),
        "reads": (_all(value, Touch), "is a tuple, (Touch(…),)"),
        "rows": (isinstance(value, int | float | str) and value is not True, "is a number or an expression"),
        "facts": (isinstance(value, Mapping) and _all(tuple(value), str), 'is a mapping, {"pinned": True}'),
        "needs": (_texts(value, Need), "is a tuple, (Need(…),), of texts"),
        "moot": (_texts(value, Moot), "is a tuple, (Moot(…),), of texts"),
        "predicts": (
            kinds,
            f"is a tuple of {', '.join(_KINDS_OF_PREDICTION)}",
        ),
        "told": (_all(value, str), "is a tuple of texts"),
        "weights": (_all(value, str), "is a tuple of texts"),
        "pretrained": (_all(value, str), "is a tuple of texts"),
        "instead": (isinstance(value, str), "is a text"),
        "prompts": (isinstance(value, str), "is a text"),
        "words": (value in ("needed", "own", ""), 'is "needed" or "own"'),
        "folder": (isinstance(value, str) and value.count(":") == 1, 'is "module:function"'),
        "tensors": (isinstance(value, str) and value.count(":") == 1, 'is "module:function"'),
        "side": (isinstance(value, int) and value is not True and value >= 0, "is a whole number of pixels, or 0"),
    }
    fine, form = right.get(name, (True, ""))
    return "" if fine else f"{form}, and this is {value!r}"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _all(value: Any, type_: type | UnionType) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, type_) for each in value)


def _texts(value: Any, type_: type) -> bool:
    return _all(value, type_) and all(isinstance(text, str) for each in value for text in astuple(each))


def _untouchable(touch: Touch, options: Collection[Option]) -> Iterator[str]:
    """Say what keeps a touch from ever acting as it is written."""
    names = {option.parameter for option in options}
    for field, words in (("kind", get_args(Kind)), ("access", get_args(Access)), ("what", get_args(What))):
        yield from _no_word(field, getattr(touch, field), words)
    yield from _no_word("place", touch.place, _PLACES)
    if touch.kind in _OF and touch.what in get_args(What) and touch.what not in _OF[touch.kind]:
        yield f"what is '{touch.what}', which a {touch.kind} site does not have: {', '.join(sorted(_OF[touch.kind]))}"
    for field, bound in (("start", touch.start), ("until", touch.until)):
        if isinstance(bound, str):
            yield from _no_word(field, bound, names, "an option of the stage")
            yield from _no_number(field, bound, options)
        elif not (isinstance(bound, int | float) and 0 <= bound <= 1):
            yield f"{field} is {bound!r}, and it is a share of the steps, from 0 to 1"
    numbers = all(isinstance(bound, int | float) for bound in (touch.start, touch.until))
    if numbers and float(touch.start) >= float(touch.until):
        yield f"start is {touch.start} and until {touch.until}, so it never acts"
    yield from _placeless(touch, options)
    if not _all(touch.when, str | int | float):
        yield f"when is {touch.when!r}, and it is a tuple, an option and values of it"
    elif touch.when:
        yield from _no_word("when", touch.when[0], names, "an option of the stage")
        yield from _no_value(touch, options)
    if not isinstance(touch.rows, str) or not touch.rows:
        yield f"rows is {touch.rows!r}, and it is the last label of rows, such as 'cond', or '*'"


def _placeless(touch: Touch, options: Collection[Option]) -> Iterator[str]:
    """Say what is wrong with how a touch tells sites apart."""
    if not (_numbers(touch.scale, str) and len(touch.scale) == 2):
        yield f"scale is {touch.scale!r}, and it is a pair (least, most)"
    for bound in touch.scale if isinstance(touch.scale, tuple) else ():
        if isinstance(bound, str):
            yield from _no_word("scale", bound, {option.parameter for option in options}, "an option of the stage")
            yield from _no_number("scale", bound, options)
    if not (_numbers(touch.depth) and len(touch.depth) == 2):
        yield f"depth is {touch.depth!r}, and it is a pair of shares, such as (0.5, 1)"
    if not _whole(touch.first):
        yield f"first is {touch.first!r}, and it is a whole number"
    if not isinstance(touch.sites, str):
        yield f"sites is {touch.sites!r}, and it is a text of module paths with | between them"


def _no_word(field: str, word: Any, words: Collection[str], what: str = "") -> Iterator[str]:
    if word in words:
        return
    mend = near_or_all(str(word), sorted(words))
    yield f"{field} is '{word}', which is {f'not {what}' if what else 'none of its words'}; {mend}"


def _numbers(value: Any, *others: type) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, (int, float, *others)) for each in value)


def _no_number(field: str, name: str, options: Collection[Option]) -> Iterator[str]:
    """An option that holds a bound and may be no number."""
    for option in options:
        if option.parameter == name and (option.kind.type == "text" or option.kind.optional):
            yield f"{field} is '{name}', which may be no number: {option.kind}{' or None' * option.kind.optional}"


def _no_value(touch: Touch, options: Collection[Option]) -> Iterator[str]:
    """A value in `when` that its option never has."""
    for option in options:
        if option.parameter == touch.when[0]:
            for value in touch.when[1:]:
                if not option.kind.takes(value):
                    yield f"when names {value!r}, and '{option.name}' takes {option.kind}"
