"""Editors colour a recipe as the parser reads it: Pygments and TextMate see the parser's own terminals."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points

import pytest
from hypothesis import given, settings

from retouch.lang import highlight, tables
from retouch.lang.format import format_recipe
from retouch.lang.source import comments
from retouch.lang.tokens import span_of
from tests.lang.corpus import RECIPES, UNSEEN
from tests.lang.trees import recipes

pygments = pytest.importorskip("pygments")

TERMINALS = {
    "name": {"NAME", "DOTTED"},
    "string": {"STRING"},
    "number": {"NUMBER"},
    "operator": {"_ARROW", "_PLUS", "_MINUS", "_STAR", "_PIPE", "EQUAL"},
    "punctuation": {"_LSQB", "_RSQB", "_LPAR", "_RPAR", "_COMMA"},
    "keyword": {"RETOUCH", "USE", "LET", "DEF", "DEFAULTS", "SEED", "AS"},
    "constant": {"TRUE", "FALSE"},
}
CLASS_OF = {terminal: name for name, terminals in TERMINALS.items() for terminal in terminals}
NAMES = {"family": "name", "option": "name"}  # finer than the parser's terminals
Classes = list[str]  # of each character; "" where nothing but space stands


def painted(text: str, found: list[tuple[int, int, str]]) -> Classes:
    """The class of each character."""
    classes = [""] * len(text)
    for start, end, name in found:
        for place in range(start, end):
            classes[place] = "" if text[place].isspace() and name != "string" else NAMES.get(name, name)
    return classes


def by_parser(text: str) -> Classes:
    """What the parser's lexer says, in the parser's states."""
    tokens = [token for token in tables.strict().parse_interactive(text).iter_parse() if token.type != "_NL"]
    found = [(span_of(token).start, span_of(token).end, CLASS_OF[token.type]) for token in tokens]
    found += [(comment.span.start, comment.span.end, "comment") for comment in comments(text)]
    return painted(text, [(start, start + 1 if kind == "punctuation" else end, kind) for start, end, kind in found])


def by_pygments(text: str) -> Classes:
    """What the lexer says that the entry point names."""
    from retouch.lang.pygments_lexer import TOKENS, RetouchLexer

    name_of = {token: name for name, token in TOKENS.items()}
    tokens = RetouchLexer(ensurenl=False, stripnl=False).get_tokens_unprocessed(text)
    found = [(start, start + len(value), name_of.get(token, "error")) for start, token, value in tokens]
    return painted(text, [item for item in found if item[2] != "space"])


def by_textmate(text: str) -> Classes:
    """What an editor shows that reads the committed file: line by line, the first rule that matches earliest."""
    grammar = json.loads((tables.GRAMMAR / highlight.FILE).read_text("utf-8"))
    class_of = {f"{scope}.retouch": name for name, scope in highlight.SCOPES.items()}
    stack: list[dict] = [grammar]
    found, offset = [], 0
    for line in text.split("\n"):
        place = 0
        while True:
            top = stack[-1]
            end = [{"match": top["end"], "captures": top["endCaptures"], "pop": True}] if len(stack) > 1 else []
            rules = end + list(flat(top["patterns"], grammar))
            matches = [(re.compile(rule.get("match") or rule["begin"]).search(line, place), rule) for rule in rules]
            match, rule = min(
                ((m, rule) for m, rule in matches if m), key=lambda pair: pair[0].start(), default=(None, None)
            )
            if match is None or rule is None:
                break
            for group, capture in (rule.get("captures") or rule.get("beginCaptures") or {}).items():
                start, stop = match.span(int(group))
                found.append((offset + start, offset + stop, class_of[capture["name"]]))
            place = match.end()
            if "pop" in rule:
                stack.pop()
            elif "begin" in rule:
                stack.append(rule)
            elif match.start() == match.end():
                break
        offset += len(line) + 1
    return painted(text, found)


def flat(patterns: list[dict], grammar: dict):
    """The rules, with those of the repository in their place."""
    for rule in patterns:
        if "include" in rule:
            yield from flat(grammar["repository"][rule["include"][1:]]["patterns"], grammar)
        else:
            yield rule


def check(text: str) -> None:
    """All three agree about each character."""
    wanted = by_parser(text)
    for name, reader in (("pygments", by_pygments), ("TextMate", by_textmate)):
        got = reader(text)
        place = next((i for i, pair in enumerate(zip(wanted, got, strict=True)) if pair[0] != pair[1]), None)
        if place is not None:
            raise AssertionError(f"{name}: {text[place : place + 20]!r} is {wanted[place]}, and shown as {got[place]}")


@pytest.mark.parametrize("name", [*RECIPES, *UNSEEN])
def test_recipes_are_coloured_as_they_are_parsed(name):
    """Every recipe of these tests."""
    check({**RECIPES, **UNSEEN}[name])


@pytest.mark.thorough
@settings(max_examples=40, deadline=None)
@given(recipes)
def test_any_tree_is_coloured_as_it_is_parsed(tree):
    """Every form that the grammar has."""
    check(format_recipe(tree))


def test_words_mean_what_they_mean_where_they_stand():
    """Families at the head of a stage, options before '=', keywords at the margin."""
    from retouch.lang.pygments_lexer import RetouchLexer

    text = 'use "a" as b\nmask = mask invert as=true seed=1\nlet seed = [\n  let,\n]\n'
    shown = [(str(kind).removeprefix("Token."), word) for kind, word in RetouchLexer().get_tokens(text) if word.strip()]
    assert shown == [
        ("Keyword", "use"), ("Literal.String.Double", '"a"'), ("Keyword", "as"), ("Name", "b"),
        ("Name", "mask"), ("Operator", "="), ("Name.Function", "mask"), ("Name", "invert"),
        ("Name.Attribute", "as"), ("Operator", "="), ("Keyword.Constant", "true"),
        ("Name.Attribute", "seed"), ("Operator", "="), ("Literal.Number", "1"),
        ("Keyword", "let"), ("Name.Attribute", "seed"), ("Operator", "="), ("Punctuation", "["),
        ("Name", "let"), ("Punctuation", ","), ("Punctuation", "]"),
    ]  # fmt: skip


def test_what_is_no_token_is_shown_as_an_error():
    """A stray character stands out."""
    from retouch.lang.pygments_lexer import RetouchLexer

    assert ("Token.Error", "$") in [(str(kind), word) for kind, word in RetouchLexer().get_tokens("a | $b\n")]


def test_the_textmate_grammar_is_the_one_that_the_grammar_makes():
    """Run `python -m retouch.lang.highlight` after a change of the grammar or of the core families."""
    committed = json.loads((tables.GRAMMAR / highlight.FILE).read_text("utf-8"))
    assert committed == highlight.textmate()


def test_pygments_finds_the_lexer_by_name():
    """The entry point is declared."""
    (found,) = entry_points(group="pygments.lexers", name="retouch")
    assert found.value == "retouch.lang.pygments_lexer:RetouchLexer"
