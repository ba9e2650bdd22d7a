"""Reading on after a mistake: each statement by itself, each broken stage left out, all of them reported."""

from __future__ import annotations

import re

from lark import Token
from lark.exceptions import UnexpectedToken

from retouch.lang import syntax as s
from retouch.lang import tables
from retouch.lang.diagnostics import Report
from retouch.lang.mistakes.classify import classify
from retouch.lang.mistakes.foreign_syntax import translated
from retouch.lang.mistakes.quotes import Quotes
from retouch.lang.mistakes.tolerant_build import TolerantBuilder
from retouch.lang.tokens import CLOSERS, NAMES, OPENERS, as_name, body_start, outside, span_of
from retouch.lang.words import RESERVED

LIMIT_ERRORS, LIMIT_ROUNDS, LONG = 50, 20, 400
MADE = re.compile(r"^[ \t]*(?:(?:let|def)[ \t]+(\w+)|(\w+)[ \t]*=)", re.MULTILINE)
MADE_IN_BRACKETS = re.compile(r"^[ \t]*(?:let|def)[^(\n]*\(([^()\n]*)\)", re.MULTILINE)


def recover(text: str, report: Report) -> tuple[s.Statement, ...]:
    """Return the statements of a text that the strict grammar refused; what cannot be read is Bad or Broken."""
    made = names_in(text)
    quotes = Quotes(text, made, report)
    builder = TolerantBuilder(text, report, made)
    statements, line = [], []
    for token in map(quotes.at_home, tables.tolerant().lex(quotes.text)):
        if token.type != "_NL":
            line.append(token)
        elif line:
            if line := list(translated(line, report, builder.families)):
                statements.append(read_statement(line, token, builder))
            line = []
        if len(report.items) >= LIMIT_ERRORS:
            break
    return tuple(statements)


def names_in(text: str) -> frozenset[str]:
    """Return the names that a text seems to make: of flows and values, of defs, their parameters, and rows."""
    brackets = " ".join(f",{found}" for found in MADE_IN_BRACKETS.findall(text))
    inside = re.findall(r",\s*([A-Za-z_]\w*)", brackets)
    return frozenset({name for pair in MADE.findall(text) for name in pair if name}.union(inside))


def read_statement(tokens: list[Token], newline: Token, builder: TolerantBuilder) -> s.Statement:
    """One statement; while it cannot be read, say why, and take out the stage around that place."""
    whole = s.Span(span_of(tokens[0]).start, span_of(tokens[-1]).end)
    names = names_made(tokens)
    # Each round reads all of it again, so long statements have few.
    for _ in range(LIMIT_ROUNDS if len(tokens) < LONG else 4):
        parsed = feed(tokens, newline)
        if not isinstance(parsed, int):
            return builder.build(parsed)[0]
        classify(tokens, parsed, newline, builder.text, builder.report)
        shorter = without_bad_stage(tokens, parsed)
        if shorter is None:
            break
        tokens = shorter
    return s.Broken(names, span=whole)


def feed(tokens: list[Token], newline: Token):
    """Return the parse tree, or the index of the token that did not fit."""
    # Token by token, since a keyword that does not fit is tried as a name.
    parser = tables.tolerant().parse_interactive()
    for index, token in enumerate([*tokens, newline]):
        if not takes(parser, token):
            return index
    return parser.feed_eof(newline)


def takes(parser, token: Token) -> bool:
    """Feed a token, if it fits; a keyword where none belongs is a name like others."""
    spellings = [token]
    if token in RESERVED:
        spellings.append(as_name(token))
    for spelling in spellings:
        try:
            parser.feed_token(spelling)
            return True
        except UnexpectedToken:
            continue
    return False


def without_bad_stage(tokens: list[Token], failed: int) -> list[Token] | None:
    """The tokens with BAD for the stage around the failure, or without a '|' too many; None if there is no stage."""
    head = body_start(tokens)
    if head is None:
        return None
    place = min(failed, len(tokens) - 1)
    if failed < len(tokens) and (inner := brackets_round(tokens, place)):
        return within(tokens, failed, *inner)
    if tokens[place].type == "_PIPE":
        if failed == len(tokens):
            return tokens[:-1] or None  # it ends the statement
        left, right = stage_before(tokens, failed, head), failed - 1
        if left > right or tokens[right].type == "BAD":
            return [*tokens[:failed], *tokens[failed + 1 :]] or None  # it stands where a stage should
    else:
        left, right = stage_before(tokens, place + 1, head), place
        while right + 1 < len(tokens) and tokens[right + 1].type != "_PIPE":
            right += 1
    if left > place or [token.type for token in tokens[left : right + 1]] == ["BAD"]:
        return None
    return [*tokens[:left], bad(tokens[left], tokens[right]), *tokens[right + 1 :]]


def within(tokens: list[Token], failed: int, start: int, end: int) -> list[Token] | None:
    """The same for the stages of a flow in brackets, of which `start` is the first token and `end` the last."""
    shorter = without_bad_stage(tokens[start : end + 1], failed - start)
    return None if shorter is None else [*tokens[:start], *shorter, *tokens[end + 1 :]]


def brackets_round(tokens: list[Token], place: int) -> tuple[int, int] | None:
    """The first and the last token of the outermost flow in brackets round a place; None where it stands in none."""
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.type in OPENERS:
            opened.append(i)
        elif token.type in CLOSERS and opened:
            start = opened.pop()
            if not opened and start < place <= i:
                inside = list(outside(tokens[start + 1 : i]))
                is_flow = any(each and each.type == "_PIPE" for each in inside)
                return (start + 1, i - 1) if is_flow and token.type == "_RPAR" else None
    return None


def stage_before(tokens: list[Token], end: int, head: int) -> int:
    """Return where the stage begins that ends before a place."""
    left = end
    while left > head and tokens[left - 1].type != "_PIPE":
        left -= 1
    return left


def bad(first: Token, last: Token) -> Token:
    """One token in the place of a stage."""
    return Token(
        "BAD",
        "",
        start_pos=first.start_pos,
        line=first.line,
        column=first.column,
        end_line=last.end_line,
        end_column=last.end_column,
        end_pos=last.end_pos,
    )


def names_made(tokens: list[Token]) -> tuple[str, ...]:
    """Return the names that a statement makes, as far as its beginning shows them."""
    match tokens[0]:
        case "let" | "def":
            end = next((i for i, token in enumerate(tokens) if token.type == "EQUAL"), len(tokens))
            names = [str(token) for token in tokens[1:end] if token.type in NAMES]
            return tuple(names[:1] if tokens[0] == "def" else names)
        case "use" if len(tokens) > 2 and tokens[-2] == "as":
            return (str(tokens[-1]),)
    made = len(tokens) > 1 and (tokens[1].type == "EQUAL" or lost_def(tokens))
    return (str(tokens[0]),) if made else ()


def lost_def(tokens: list[Token]) -> bool:
    """Return whether this is `name(a, b) = …`, without its 'def'."""
    inside = list(outside(tokens))
    equal = next((i for i, token in enumerate(inside) if token and token.type == "EQUAL"), 0)
    return tokens[0].type == "NAME" and tokens[1].type == "_LPAR" and tokens[equal - 1].type == "_RPAR"
