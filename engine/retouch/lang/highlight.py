"""How editors colour a recipe: one table of rules, made from the grammar's own terminals.

The Pygments lexer reads it as it stands.  `python -m retouch.lang.highlight` writes it as the TextMate grammar.
Methods and options are told by where they stand, not by name, so nothing changes when a plugin is installed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from retouch.lang import tables
from retouch.lang.words import FAMILIES, KEYWORDS

SCOPES = {
    "comment": "comment.line.number-sign",
    "keyword": "keyword.control",
    "constant": "constant.language",
    "family": "support.function",
    "option": "variable.parameter",
    "name": "variable.other",
    "string": "string.quoted.double",
    "number": "constant.numeric",
    "operator": "keyword.operator",
    "punctuation": "punctuation",
    "space": "",
}
FILE = "retouch.tmLanguage.json"


@dataclass(frozen=True, slots=True)
class HighlightRule:
    """What matches, the class of each of its groups, and the state that it opens; "" closes one."""

    pattern: str
    classes: tuple[str, ...]
    opens: str | None = None


@cache
def rules() -> dict[str, tuple[HighlightRule, ...]]:
    """Return the states: a recipe, what stands in brackets, and a line that begins with 'use'."""
    terminal = {each.name: each.pattern.to_regexp() for each in tables.strict().terminals}
    families, first = "|".join(FAMILIES), "|".join(word for word in KEYWORDS if word != "use")
    name = terminal["NAME"]
    comment = HighlightRule(f"({terminal['COMMENT']})", ("comment",))
    string = HighlightRule(f"({terminal['STRING']})", ("string",))
    words = (
        HighlightRule(f"({terminal['DOTTED']})", ("name",)),
        HighlightRule(r"(true|false)\b(?![ \t]*[=(])", ("constant",)),
        HighlightRule(rf"({name})(?=[ \t]*=)", ("option",)),
        HighlightRule(f"({name})", ("name",)),
    )
    values = (
        string,
        HighlightRule(f"({terminal['NUMBER']})", ("number",)),
        HighlightRule(f"({terminal['_ARROW']}|[|=*+-])", ("operator",)),
        *words,
        HighlightRule("(,)", ("punctuation",)),
        HighlightRule(r"([\[(])", ("punctuation",), opens="brackets"),
    )
    statements = (
        HighlightRule(rf"^([ \t]*)({first})\b", ("space", "keyword")),
        HighlightRule(r"^([ \t]*)(use)\b", ("space", "keyword"), opens="use"),
        HighlightRule(rf"^([ \t]*)({name})(?=[ \t]*=)", ("space", "name")),
        HighlightRule(rf"^([ \t]*)({families})\b", ("space", "family")),
        HighlightRule(rf"([|=])([ \t]*)({families})\b(?!=)", ("operator", "space", "family")),
    )
    closing = HighlightRule(r"([\])])", ("punctuation",), opens="")
    return {
        "root": (comment, *statements, *values),
        "brackets": (comment, closing, *values),
        "use": (
            comment,
            string,
            HighlightRule(r"(as)\b", ("keyword",)),
            *words,
            HighlightRule(r"(?=\n)|$", (), opens=""),
        ),
    }


def textmate() -> dict[str, Any]:
    """Return the TextMate grammar."""
    states = {name: [_textmate_rule(rule) for rule in found if rule.opens != ""] for name, found in rules().items()}
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "Retouch",
        "scopeName": "source.retouch",
        "fileTypes": ["retouch"],
        "patterns": states.pop("root"),
        "repository": {name: {"patterns": patterns} for name, patterns in states.items()},
    }


def _textmate_rule(rule: HighlightRule) -> dict[str, Any]:
    captures = {str(i): {"name": f"{SCOPES[kind]}.retouch"} for i, kind in enumerate(rule.classes, 1) if SCOPES[kind]}
    if rule.opens is None:
        return {"match": rule.pattern, "captures": captures}
    end = next(each for each in rules()[rule.opens] if each.opens == "")
    closed = {str(i): {"name": f"{SCOPES[kind]}.retouch"} for i, kind in enumerate(end.classes, 1)}
    return {
        "begin": rule.pattern,
        "beginCaptures": captures,
        "end": end.pattern,
        "endCaptures": closed,
        "patterns": [{"include": f"#{rule.opens}"}],
    }


def main() -> None:
    """Write the TextMate grammar beside the grammar."""
    text = json.dumps(textmate(), indent=2, ensure_ascii=False)
    (tables.GRAMMAR / FILE).write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
