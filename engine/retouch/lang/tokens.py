"""Tokens of the grammar, by what they can be in a recipe."""

from __future__ import annotations

from collections.abc import Iterator

from lark import Token

from retouch.lang.syntax import Span

OPENERS = frozenset({"_LSQB", "_LPAR"})
CLOSERS = frozenset({"_RSQB", "_RPAR"})
NAMES = frozenset({"NAME", "DOTTED"})
ARROWS = frozenset({"_ARROW", "WRONGARROW"})
EQUALS = frozenset({"EQUAL", "COLON", "EQEQ"})
TEXTS = frozenset({"STRING", "CURLY", "SINGLE", "DOUBLED", "BADSTRING", "OPENSTRING", "PATH"})
VALUES = TEXTS | {"NUMBER", "BADNUMBER", "FRACTION", "NAME"}
ENDS_VALUE = VALUES | CLOSERS | {"DOTTED"}
STARTS_VALUE = VALUES | OPENERS | {"_PLUS", "_MINUS"}


def span_of(token: Token) -> Span:
    """Return the token's own place; one that swallowed a line break is at its own character."""
    start, end = token.start_pos or 0, token.end_pos or 0
    if token.type in CLOSERS or token.type == "_PIPE":
        start = end - 1
    elif token.type in OPENERS or token.type == "_COMMA":
        end = start + 1
    elif token.type == "_NL":
        end = start
    return Span(start, end)


def as_name(token: Token) -> Token:
    """Turn a keyword into a name where it means nothing special."""
    return Token.new_borrow_pos("NAME", str(token), token)


def unclosed(tokens: list[Token]) -> Token | None:
    """Return the innermost bracket that is open after these tokens."""
    stack = []
    for token in tokens:
        if token.type in OPENERS:
            stack.append(token)
        elif token.type in CLOSERS and stack:
            stack.pop()
    return stack[-1] if stack else None


def body_start(tokens: list[Token]) -> int | None:
    """Return where the flow of a statement begins; None for a statement without one."""
    if tokens[0] in ("let", "use", "retouch", "defaults", "seed"):
        return None
    if tokens[0] == "def":
        return next((i + 1 for i, token in enumerate(outside(tokens)) if token and token.type == "EQUAL"), None)
    return 2 if len(tokens) > 1 and tokens[0].type == "NAME" and tokens[1].type == "EQUAL" else 0


def outside(tokens: list[Token]) -> Iterator[Token | None]:
    """Return the tokens, with None for those inside brackets."""
    depth = 0
    for token in tokens:
        depth += (token.type in OPENERS) - (token.type in CLOSERS)
        yield None if depth > 0 else token
