"""Recipes for Pygments, and so for Sphinx, MkDocs and IPython; found by its entry point as 'retouch'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from retouch.lang.highlight import HighlightRule, rules

TOKENS = {
    "comment": Comment.Single,
    "keyword": Keyword,
    "constant": Keyword.Constant,
    "family": Name.Function,
    "option": Name.Attribute,
    "name": Name,
    "string": String.Double,
    "number": Number,
    "operator": Operator,
    "punctuation": Punctuation,
    "space": Whitespace,
}


def _entry(rule: HighlightRule) -> tuple[Any, ...]:
    found = bygroups(*(TOKENS[kind] for kind in rule.classes)) if rule.classes else Whitespace
    state = {None: (), "": ("#pop",)}.get(rule.opens, (rule.opens,))
    return (rule.pattern, found, *state)


class RetouchLexer(RegexLexer):
    """The classes of `retouch.lang.highlight`, as tokens."""

    name = "Retouch"
    aliases: ClassVar[Sequence[str]] = ["retouch"]
    filenames: ClassVar[Sequence[str]] = ["*.retouch"]
    mimetypes: ClassVar[Sequence[str]] = ["text/x-retouch"]
    tokens: ClassVar[dict[str, list[tuple[Any, ...]]]] = {
        state: [*map(_entry, found), (r"\s+", Whitespace)] for state, found in rules().items()
    }
