"""Syntax trees of source, one at a time: CPython 3.11 counts their depth for all threads together, and miscounts."""

from __future__ import annotations

import ast
from threading import Lock

_parsing = Lock()


def module(source: str | bytes, name: str) -> ast.Module:
    """Parse a module, whichever threads parse beside.  Raises SyntaxError and ValueError."""
    with _parsing:
        return ast.parse(source, name)


def expression(text: str) -> ast.expr:
    """Parse an expression, likewise."""
    with _parsing:
        return ast.parse(text, mode="eval").body
