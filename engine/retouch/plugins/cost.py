"""What a stage costs: arithmetic over its options and over facts of the stages that feed it, in a card as text."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, TypeVar

from retouch.plugins import trees
from retouch.plugins.signatures import StageCard

# Facts that stages of the core families state; a plugin's card adds its own by stating them.
FACTS = frozenset(
    {"evaluations", "beside", "pinned", "guide", "readers", "during", "walked", "predictions", "replays", "copies"}
    | {"extra", "attempts", "redraws", "passes", "networks", "networks_least"}
    | {"gradient", "led", "looked"}  # of guidance: 1 through the decoder, 2 through the network too; rows, decodings
    | {"seen", "glances"}  # pictures that eyes are shown: at each step, with their gradient; in all
    | {"draws"}  # how many pictures there are to choose from
    | {"cut"}  # whether a tuning is shown parts of pictures, of as many pixels as the model's own
    | {"parts"}  # 1 of a stage that asks a large picture for parts of it alone, and may be given one of any size
    | {"guide_least"}  # the fewest rows that guidance asks for, where part of the walk has fewer than `guide`
    | {"unprompted"}  # 1 of guidance that never asks for the row of the prompt itself, at the latents themselves
    | {"empty", "full"}  # 1 of a mask that is 0 everywhere, or 1 everywhere, as it is set
)
# distilled: whether the model is told its guidance, 1 or 0; trained: how many timesteps it was trained at, 0 on flow,
# which has no such list; …_words: how many the prompts of an edit have; alike: 1 where they are the same;
# reads_words: whether the model reads any, 1 or 0; cross_sites: places of a cross-attention that is apart from the
# picture's attention to itself.
# height, width: pixels of the picture that a stage is given, 0 where they are not known before it is there, `about` 1
# where they are the most that it may have; side: that of the pictures which the model was trained on.
ENGINE = frozenset({"steps", "distilled", "trained", "source_words", "target_words", "reads_words", "cross_sites"})
ENGINE |= {"alike", "height", "width", "about", "side", "convolves", "layers"}

Number = int | float
Rows = tuple[Number, Number]  # (least, most)
T = TypeVar("T")


def _tiles(length: int, side: int, overlap: float) -> int:
    """How many tiles of a side cover a length, if each overlaps with the next by at least this share of itself."""
    shared = int(overlap * side)
    return max(1, math.ceil((length - shared) / (side - shared)))


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min, "max": max, "int": int, "ceil": math.ceil, "len": len, "log": math.log, "all": all,
    "tiles": _tiles, "falls": lambda numbers: all(a > b for a, b in pairwise(numbers)),
}  # fmt: skip
_BINARY: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


_LONGEST = 1000  # characters of an expression: nobody reads a longer one, and a deep one has no end
_MOST_STEPS = 100_000


class BadExpression(Exception):
    """A text that is not in the little language of costs, or that has no value under some options."""


class Unsaid(Exception):
    """What a card says of itself has no value under the options of a recipe, or none of its kind.

    label: which of its settings, such as "rows" or "fact 'steps'".
    """

    def __init__(self, label: str, what: str) -> None:
        super().__init__(f"{label}: {what}")
        self.label, self.what = label, what


def evaluate(expression: Number | str, scope: Mapping[str, Any]) -> Any:
    """Return the value of an expression: a number, or a pair of (least, most).  Raises BadExpression."""
    if not isinstance(expression, str):
        return expression
    try:
        return _value(_parse(expression), scope)
    except (ArithmeticError, TypeError, ValueError, RecursionError) as err:
        raise BadExpression(f"'{expression}' has no value: {err}") from err


def rows(expression: Number | str, scope: Mapping[str, Any]) -> Rows:
    """Denoiser rows as (least, most).  Raises BadExpression."""
    found = evaluate(expression, scope)
    least, most = found if isinstance(found, tuple) else (found, found)
    if not (_counts(least) and _counts(most) and least <= most):
        raise BadExpression(f"'{expression}' comes to {found!r}, and rows are a number from 0, or (least, most)")
    return least, most


def rows_of(card: StageCard, scope: Mapping[str, Any]) -> Rows:
    """Denoiser rows of a stage as (least, most).  Raises Unsaid."""
    return _said("rows", lambda: rows(card.rows, scope))


def facts_of(card: StageCard, scope: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage states for later ones, each of the kind that they count on.  Raises Unsaid."""
    return {name: _said(f"fact '{name}'", partial(_fact, name, said, scope)) for name, said in card.facts.items()}


def holds(label: str, expression: str, scope: Mapping[str, Any]) -> bool:
    """Whether a condition of a stage is met.  Raises Unsaid."""
    return _said(label, lambda: bool(evaluate(expression, scope)))


def sentence(label: str, text: str, scope: Mapping[str, Any]) -> str:
    """A sentence of a stage's, filled in.  Raises Unsaid."""
    return _said(label, lambda: filled(text, scope))


def _said(label: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except BadExpression as err:
        raise Unsaid(label, str(err)) from err


def _fact(name: str, said: Number | str, scope: Mapping[str, Any]) -> Any:
    found = evaluate(said, scope)
    fine, kind = _counts(found), "a number from 0"
    if name == "replays":
        fine, kind = isinstance(found, str) or not found, "names of solvers, or 'any'"
    elif name == "during":
        shares = found if isinstance(found, tuple) and len(found) == 2 else ()
        fine, kind = bool(shares) and all(map(_counts, shares)), "a pair of shares of the steps, (start, until)"
    elif name in ("steps", "walked"):
        fine = isinstance(found, int) and 0 <= found <= _MOST_STEPS
        kind = f"a whole number from 0 to {_MOST_STEPS:,}"
    elif name == "pinned":
        fine, kind = found is None or _counts(found), "True, False or None"
    if not fine:
        raise BadExpression(f"'{said}' comes to {found!r}, and this is {kind}")
    return found


def _counts(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number) and number >= 0


def misstated(card: StageCard, facts: Iterable[str]) -> str | None:
    """Say what is wrong with a card's expressions, if anything is; they are checked when the card is read."""
    known = {option.name for option in card.options} | {port.name for port in card.ports} | ENGINE | set(facts)
    known |= {option.parameter for option in card.options}
    # Whether the flow makes a mask, and whether its picture comes back at another size.
    known |= {f"{port.name}_{what}" for port in card.ports if port.type == "Turn" for what in ("mask", "resizes")}
    known |= {f"{port.name}_{what}" for port in card.ports if port.type == "Mask" for what in ("empty", "full")}
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
            except (BadExpression, RecursionError) as err:
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
    # A function's name is no name of a value; which functions there are is looked at below.
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called)
    for node in ast.walk(tree):
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
                # A pair: of rows the least and the most, of shares of the steps where they begin and end.
                fine = len(items) == 2
            case _:
                fine = isinstance(node, ast.Name | ast.IfExp | ast.BoolOp | ast.operator | ast.cmpop | ast.unaryop)
                fine = fine or isinstance(node, ast.boolop | ast.expr_context)
        if not fine:
            raise BadExpression(f"'{ast.unparse(node)}' is not arithmetic")
    return found


@lru_cache(maxsize=1024)  # each node of each graph asks for the same few
def _parse(expression: str) -> ast.expr:
    if len(expression) > _LONGEST:
        raise BadExpression(f"'{expression[:20]}…' has more than {_LONGEST} characters")
    try:
        return trees.expression(expression)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as err:
        raise BadExpression(f"'{expression}' is not arithmetic") from err


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
            found = (all if isinstance(op, ast.And) else any)(bool(_value(value, scope)) for value in values)
        case ast.UnaryOp(op=op, operand=operand):
            found = not _value(operand, scope) if isinstance(op, ast.Not) else -_value(operand, scope)
        case ast.BinOp(left=left, op=op, right=right):
            found = _BINARY[type(op)](_number(_value(left, scope)), _number(_value(right, scope)))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            found = _COMPARE[type(op)](_value(left, scope), _value(right, scope))
        case ast.Call(func=ast.Name(id=name), args=args):
            found = _FUNCTIONS[name](*(_value(arg, scope) for arg in args))
        case _:
            raise BadExpression(f"'{ast.unparse(node)}' is not arithmetic")
    return found


def _number(value: Any) -> Number:
    """A text or a list times a number would fill the memory."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value
