"""What a stage costs: arithmetic over its options and over facts of the stages that feed it, in a card as text."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

from retouch.plugins import trees
from retouch.plugins.signatures import StageCard

# Facts that stages of the core families state; a plugin's card adds its own by stating them.
FACTS = frozenset(
    {"evaluations", "beside", "pinned", "guide", "readers", "during", "walked", "predictions", "replays", "copies"}
)
# distilled: whether the model is told its guidance, 1 or 0; …_words: how many the prompts of an edit have.
ENGINE = frozenset({"steps", "distilled", "source_words", "target_words"})

Number = int | float
Rows = tuple[Number, Number]  # (least, most)

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min, "max": max, "int": int, "ceil": math.ceil, "len": len, "log": math.log,
    "falls": lambda numbers: all(a > b for a, b in pairwise(numbers)),
}  # fmt: skip
_BINARY: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


class BadExpression(Exception):
    """A text that is not in the little language of costs."""


def evaluate(expression: Number | str, scope: Mapping[str, Any]) -> Any:
    """Return the value of an expression: a number, or a pair of (least, most)."""
    return _value(_parse(expression), scope) if isinstance(expression, str) else expression


def rows(expression: Number | str, scope: Mapping[str, Any]) -> Rows:
    """Denoiser rows as (least, most)."""
    found = evaluate(expression, scope)
    return found if isinstance(found, tuple) else (found, found)


def misstated(card: StageCard, facts: Iterable[str]) -> str | None:
    """Say what is wrong with a card's expressions, if anything is; they are checked when the card is read."""
    known = {option.name for option in card.options} | {port.name for port in card.ports} | ENGINE | set(facts)
    known |= {option.parameter for option in card.options}
    demands = [
        ("needs", text) for need in card.needs for text in (need.holds, *_inside(need.what), *_inside(need.mend))
    ]
    demands += [("moot", moot.where) for moot in card.moot]
    if unknown := {moot.option for moot in card.moot} - {option.name for option in card.options}:
        return f"'moot' speaks of '{min(unknown)}', which is none of its options"
    for label, expression in [("rows", card.rows), *card.facts.items(), *demands]:
        if isinstance(expression, str):
            try:
                unknown = names(expression) - known
            except BadExpression as err:
                return f"the cost '{label}' cannot be read: {err}"
            if unknown:
                return f"the cost '{label}' speaks of '{min(unknown)}', which nothing states"
    return None


def filled(text: str, scope: Mapping[str, Any]) -> str:
    """Return a sentence with the value of each {expression} in it; a number as short as it can be said."""

    def value(found: re.Match[str]) -> str:
        of = evaluate(found[1], scope)
        return f"{of:.4g}" if isinstance(of, float) else str(of)

    return _IN_BRACES.sub(value, text)


def _inside(text: str) -> list[str]:
    return _IN_BRACES.findall(text)


_IN_BRACES = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=1024)
def names(expression: str) -> frozenset[str]:
    """Return the names that an expression reads; raises BadExpression where it says more than arithmetic."""
    tree = _parse(expression)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called)
    for node in ast.walk(tree):
        _allowed(node)
    return found


@lru_cache(maxsize=1024)  # each node of each graph asks for the same few
def _parse(expression: str) -> ast.expr:
    try:
        return trees.expression(expression)
    except SyntaxError as err:
        raise BadExpression(f"'{expression}' is not arithmetic") from err


def _allowed(node: ast.AST) -> None:
    match node:
        case ast.BinOp(op=op):
            fine = type(op) in _BINARY
        case ast.Compare(ops=[op]):
            fine = type(op) in _COMPARE
        case ast.UnaryOp(op=op):
            fine = isinstance(op, ast.USub | ast.Not)
        case ast.Call(func=ast.Name(id=name), keywords=[]):
            fine = name in _FUNCTIONS
        case ast.Constant(value=value):
            fine = isinstance(value, int | float | str)
        case ast.Tuple(elts=items):
            fine = len(items) == 2
        case _:
            fine = isinstance(node, ast.Name | ast.IfExp | ast.BoolOp | ast.operator | ast.cmpop | ast.unaryop)
            fine = fine or isinstance(node, ast.boolop | ast.expr_context)
    if not fine:
        raise BadExpression(f"'{ast.unparse(node)}' is not arithmetic")


def _value(node: ast.expr, scope: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            found = value
        case ast.Name(id=name):
            found = scope.get(name, 0)  # a fact that no stage before this one states
        case ast.Tuple(elts=items):
            found = tuple(_value(item, scope) for item in items)
        case ast.IfExp(test=test, body=body, orelse=other):
            found = _value(body if _value(test, scope) else other, scope)
        case ast.BoolOp(op=op, values=values):
            found = _joined(isinstance(op, ast.And), values, scope)
        case ast.UnaryOp(op=op, operand=operand):
            found = not _value(operand, scope) if isinstance(op, ast.Not) else -_value(operand, scope)
        case ast.BinOp(left=left, op=op, right=right):
            found = _BINARY[type(op)](_value(left, scope), _value(right, scope))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            found = _COMPARE[type(op)](_value(left, scope), _value(right, scope))
        case ast.Call(func=ast.Name(id=name), args=args):
            found = _FUNCTIONS[name](*(_value(arg, scope) for arg in args))
        case _:
            raise BadExpression(f"'{ast.unparse(node)}' is not arithmetic")
    return found


def _joined(every: bool, values: Iterable[ast.expr], scope: Mapping[str, Any]) -> bool:
    found = (bool(_value(value, scope)) for value in values)
    return all(found) if every else any(found)
