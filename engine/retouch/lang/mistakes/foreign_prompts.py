"""Weights and switches that other programs write inside a prompt; here a text holds words and nothing else.

Told by shape alone, so that brackets of plain prose stay words: `a cat (black) at 12:30` says nothing but that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_NUMBER = r"\d*\.?\d+"
# New words of a change; old ones; a whole prompt; an option, whose words have no weights.
Place = Literal["new", "old", "prompt", "option"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A piece of a text that is no word, and what to write instead.

    plain: the whole text with words alone; weighed: those of its words that were given weight, as a change says it.
    instead: of what is no weight, all that there is to say.
    """

    start: int
    end: int
    what: str
    plain: str = ""
    weighed: str = ""
    instead: str = ""

    def mend(self, place: Place) -> str:
        """What to write at this place of a recipe."""
        if not self.weighed:
            return self.instead
        if place == "new":
            whole = self.weighed.startswith(f"{self.plain}*")
            return f"write {self.weighed}" if whole else f"write {self.plain} {self.weighed}"
        weights = (
            f", and the change {self.weighed}" if place == "prompt" else "; only new words of a change have weights"
        )
        return f"write {self.plain}{weights}"


_Reading = Callable[[re.Match[str], str], dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Shape:
    pattern: re.Pattern[str]
    read: _Reading
    among_small: bool = False  # a word in capitals, which stands out only where others are not


def foreign(text: str) -> Foreign | None:
    """Return the first piece of another program's syntax in a text, if there is any."""
    small = any(char.islower() for char in text)
    found = [
        (match.start(), i, match)
        for i, shape in enumerate(_SHAPES)
        if (small or not shape.among_small) and (match := shape.pattern.search(text))
    ]
    if not found:
        return None
    _, i, match = min(found, key=lambda each: each[:2])
    start, end, what = match.start(), match.end(), match[0]
    start += len(what) - len(what.lstrip(" ,"))
    return Foreign(start, end - len(what) + len(what.rstrip()), what.strip(" ,"), **_SHAPES[i].read(match, text))


def _quoted(text: str) -> str:
    tidy = re.sub(r" (?=,)", "", re.sub(r"\s+", " ", text)).strip(" ,")
    return json.dumps(re.sub(r",{2,}", ",", tidy), ensure_ascii=False)


def _with(match: re.Match[str], text: str, instead: str) -> str:
    return text[: match.start()] + instead + text[match.end() :]


def _weighed(match: re.Match[str], text: str, weight: float) -> dict[str, str]:
    words = match["words"].strip()
    return {"plain": _quoted(_with(match, text, words)), "weighed": f"{_quoted(words)}*{weight:.4g}"}


def _power(base: float) -> _Reading:
    """Brackets or signs side by side, each of which multiplies by the same."""
    return lambda match, text: _weighed(match, text, base ** len(match["signs"]))


def _explicit(match: re.Match[str], text: str) -> dict[str, str]:
    return _weighed(match, text, float(match["weight"]))


def _switched(match: re.Match[str], _text: str) -> dict[str, str]:
    before, after = match["before"].strip(), match["after"].strip()
    change = (
        f"{_quoted(before)}->{_quoted(after)}"
        if before and after
        else f"{'+' if after else '-'}{_quoted(before or after)}"
    )
    return {"instead": f"write the change {change}"}


def _changed(match: re.Match[str], text: str) -> dict[str, str]:
    before, after = _quoted(text[: match.start()]), _quoted(text[match.end() :])
    return {"instead": f"each side has its own quotes: {before}->{after}"}


def _one_of(match: re.Match[str], text: str) -> dict[str, str]:
    each = ", ".join(_quoted(_with(match, text, words)) for words in match["words"].split("|"))
    return {"instead": f"write [{each}], which makes one picture of each"}


def _left_out(why: str, instead: str = " ") -> _Reading:
    def read(match: re.Match[str], text: str) -> dict[str, str]:
        rest = _quoted(_with(match, text, instead))
        return {"instead": (f"write {rest}" if rest != '""' else "delete it") + (f"; {why}" if why else "")}

    return read


_SHAPES = (  # each is found in time that grows as the text does: a caption may be 64 KB of anything
    _Shape(
        re.compile(r"<(?:lora|lyco|hypernet|lbw):[^<>]*>", re.I), _left_out("--model names a model it is merged in")
    ),
    _Shape(re.compile(r"->|=>|→"), _changed),
    _Shape(re.compile(r"\bembedding:\S+", re.I), _left_out("embeddings are not loaded")),
    _Shape(re.compile(rf"\[(?P<before>[^\[\]:|]*):(?P<after>[^\[\]:|]*):\s*{_NUMBER}\s*\]"), _switched),
    _Shape(re.compile(rf"\[(?P<before>)(?P<after>\s*[^\W\d][^\[\]:|]*):\s*{_NUMBER}\s*\]"), _switched),
    _Shape(re.compile(r"[\[{](?P<words>[^\[\]{}|]*\|[^\[\]{}]*)[\]}]"), _one_of),
    _Shape(re.compile(rf"(?<!\()\(+(?P<words>[^():]*[^():\d\s])\s*:\s*(?P<weight>{_NUMBER})\s*\)+"), _explicit),
    _Shape(re.compile(r"(?<!\()\(+(?P<words>[^():]*\d)\s*:\s*(?P<weight>\d\.\d+)\s*\)+"), _explicit),
    _Shape(re.compile(rf"\((?P<words>[^()]+)\)(?P<weight>{_NUMBER})(?![\w%])"), _explicit),
    _Shape(re.compile(r"(?<!\()(?P<signs>\({2,})(?P<words>[^()]+)\){2,}"), _power(1.1)),
    _Shape(re.compile(r"(?<!\{)(?P<signs>\{{2,})(?P<words>[^{}]+)\}{2,}"), _power(1.05)),
    _Shape(re.compile(r"(?<!\[)(?P<signs>\[{2,})(?P<words>[^\[\]]+)\]{2,}"), _power(1 / 1.1)),
    _Shape(re.compile(r"\((?P<words>[^()]+)\)(?P<signs>\++)"), _power(1.1)),
    _Shape(re.compile(r"\((?P<words>[^()]+)\)(?P<signs>-+)(?!\w)"), _power(0.9)),
    _Shape(re.compile(r"(?<!\w)(?P<words>[^\W\d_]{2,})(?P<signs>\+{2,})(?![\w+])"), _power(1.1)),
    _Shape(re.compile(r"(?<!\w)(?P<words>[^\W\d_]{2,})(?P<signs>-{2,})(?=\s|,|$)"), _power(0.9)),
    _Shape(re.compile(rf"(?<!\w)(?P<words>[^\W\d_]+)::\s*(?P<weight>{_NUMBER})(?!\w)"), _explicit),
    _Shape(re.compile(r"(?<!\S)--[a-z]+(?: [\d.:]+)?"), _left_out("options stand outside the text, as name=value")),
    _Shape(re.compile(r",?\s?\bBREAK\b"), _left_out("a prompt is read as one text"), among_small=True),
    _Shape(re.compile(r"(?<=\w)\s+AND\s+(?=\w)"), _left_out("", " and "), among_small=True),
)
