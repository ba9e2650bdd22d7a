"""Annotations of a stage's parameters as ports and kinds of option."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import cast

from retouch.core.declared.demands import WordsOf
from retouch.core.declared.endings import Ending
from retouch.core.declared.touches import Pattern, Range
from retouch.plugins import trees
from retouch.plugins.signatures.literals import ModuleNames, NotStatic
from retouch.plugins.signatures.signature import Kind, Port

_PLAIN = {"int": "int", "float": "float", "bool": "bool", "str": "text"}


def read_port(name: str, annotation: ast.expr, default: ast.expr | None, names: ModuleNames) -> Port:
    """`T` is one value, `T | None = None` may be missing, `tuple[T, ...]` takes all, with `= ()` even none."""
    annotation = plain(annotation, names)
    inner, optional = _without_none(annotation)
    many = _tuple_item(inner, names)
    if optional != (default is not None) and (optional or many is None):
        if not isinstance(default, ast.Constant) or default.value is not None:
            raise NotStatic(annotation, f"'{name}' has a default, so it is an option, and options stand behind '*'")
        raise NotStatic(annotation, f"port '{name}' is 'T', 'T | None = None', 'tuple[T, ...]' or 'tuple[T, ...] = ()'")
    return Port(name, type_name(many or inner, names), default is not None, many is not None)


def type_name(node: ast.expr, names: ModuleNames) -> str:
    """Return the nominal name of a port type: `Latents`, however it was imported, and whatever its parameters are."""
    node = plain(node, names)
    path = names.path(node.value if isinstance(node, ast.Subscript) else node)
    if not path:
        raise NotStatic(node, f"'{ast.unparse(node)}' is not the name of a type")
    return path.rpartition(".")[2]


def read_kind(annotation: ast.expr, names: ModuleNames) -> Kind:
    """Return the kind of value that an option takes: one value or a list, never either."""
    node, optional = _without_none(plain(annotation, names))
    item = _tuple_item(node, names)
    kind = _scalar(plain(item or node, names), names)
    return replace(kind, many=item is not None, optional=optional)


def plain(node: ast.expr, names: ModuleNames) -> ast.expr:
    """Return the annotation with quotes and aliases (`Share = Annotated[float, Range(0, 1)]`) seen through."""
    match node:
        case ast.Constant(value=str(text)):
            return plain(ast.copy_location(trees.expression(text), node), names)
        case ast.Name(id=name) if alias := names.constant(name):
            return plain(alias, names)
        case _:
            return node


def _without_none(node: ast.expr) -> tuple[ast.expr, bool]:
    match node:
        case ast.BinOp(left=inner, op=ast.BitOr(), right=ast.Constant(value=None)):
            return inner, True
        case _:
            return node, False


def _tuple_item(node: ast.expr, names: ModuleNames) -> ast.expr | None:
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=[item, ast.Constant(value=last)])) if last is ...:
            return item if names.path(value) == "tuple" else None
        case _:
            return None


def _scalar(node: ast.expr, names: ModuleNames) -> Kind:
    match node:
        case ast.Name(id=name) if name in _PLAIN:
            return Kind(_PLAIN[name])  # pyright: ignore[reportArgumentType]
        case ast.Subscript(value=value, slice=inner) if names.path(value).endswith("Literal"):
            literal = names.literal(inner)
            choices = cast("tuple[str | int | float, ...]", literal if isinstance(literal, tuple) else (literal,))
            numbers = all(isinstance(choice, int | float) for choice in choices)
            return Kind(
                "text" if not numbers else "int" if all(type(c) is int for c in choices) else "float", choices=choices
            )
        case ast.Subscript(value=value, slice=ast.Tuple(elts=[base, *said])) if names.path(value).endswith("Annotated"):
            kind = _scalar(plain(base, names), names)
            for each in said:
                kind = _narrowed(kind, each, names)
            return kind
        case _:
            pass
    raise NotStatic(
        node, f"'{ast.unparse(node)}' is not a type of option: int, float, bool, str, tuple[T, ...], Literal, Annotated"
    )


def _narrowed(kind: Kind, node: ast.expr, names: ModuleNames) -> Kind:
    """The kind with what an annotation says of it: the range of a number, the form of a text, the endings of a file."""
    match names.literal(node):
        case Range(low, high, unit):
            share = "fraction" if (kind.type, low, high) == ("float", 0, 1) else ""
            return replace(kind, low=low, high=high, unit=unit or share)
        case Pattern() as form:
            return replace(kind, form=form)
        case WordsOf(of):
            return replace(kind, words=of)
        case Ending() as ending if ending.well_formed:
            return replace(kind, endings=ending.words)
        case Ending():
            raise NotStatic(node, f"'{ast.unparse(node)}' has to name endings, such as \".npz\", in small letters")
        case _:
            raise NotStatic(
                node,
                f"'{ast.unparse(node)}' says nothing of an option; Range, Pattern, WordsOf and Ending do",
            )
