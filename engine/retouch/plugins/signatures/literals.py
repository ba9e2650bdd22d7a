"""Names and literals of a module, read from its syntax tree."""

from __future__ import annotations

import ast
import operator
from collections.abc import Collection, Iterator
from typing import Any

from retouch.core.declared.demands import Moot, Need, WordsOf
from retouch.core.declared.endings import Ending
from retouch.core.declared.touches import Pattern, Range, Touch

_DATA = (Ending, Moot, Need, Pattern, Range, Touch, WordsOf)
_BUILT = {f"retouch.api.{built.__name__}": built for built in _DATA}
_BUILT |= {f"{built.__module__}.{built.__name__}": built for built in _DATA}
_ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class NotStatic(Exception):
    """What is written cannot be known without running it."""

    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(what)
        self.line: int = getattr(node, "lineno", 0)


class ModuleNames:
    """What the names of a module stand for: imported things by dotted path, constants by their expression."""

    def __init__(self, tree: ast.Module) -> None:
        self._paths: dict[str, str] = {}
        self._constants: dict[str, ast.expr] = {}
        for node in tree.body:
            self._learn(node)

    def _learn(self, node: ast.stmt) -> None:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    self._paths[alias.asname or top] = alias.name if alias.asname else top
            case ast.ImportFrom(module=str(module), level=0, names=names):
                self._paths |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._constants[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._constants[name] = value
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                for inner in body:
                    self._learn(inner)
            case _:
                pass

    def path(self, node: ast.expr) -> str:
        """Return the dotted path that a name stands for, wherever it was imported from."""
        match node:
            case ast.Name(id=name):
                return self._paths.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                return f"{self.path(value)}.{attr}"
            case _:
                return ""

    def called(self, paths: Collection[str]) -> Iterator[str]:
        """Give the names by which the module calls things of these dotted paths."""
        return (name for name, path in self._paths.items() if path in paths)

    def constant(self, name: str) -> ast.expr | None:
        return self._constants.get(name)

    def literal(self, node: ast.expr) -> Any:
        """Return the value of a literal, a named constant, plain arithmetic, or `Touch(…)` and the like."""
        match node:
            case ast.Constant(value=value):
                found = value
            case ast.Tuple(elts=items) | ast.List(elts=items):
                found = tuple(self.literal(item) for item in items)
            case ast.Dict(keys=keys, values=values) if all(keys):
                found = {self.literal(k): self.literal(v) for k, v in zip(keys, values, strict=True) if k}
            case ast.Name(id=name) if constant := self._constants.get(name):
                found = self.literal(constant)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                found = -self.literal(operand)
            case ast.BinOp(left=left, op=op, right=right) if apply := _ARITHMETIC.get(type(op)):
                numbers = self.literal(left), self.literal(right)
                if not all(isinstance(each, int | float) for each in numbers):  # a text times a number fills the memory
                    raise NotStatic(node, f"'{ast.unparse(node)}' is arithmetic with what is no number")
                found = apply(*numbers)
            case ast.Call(func=func, args=args, keywords=keywords) if built := _BUILT.get(self.path(func)):
                given = [self.literal(arg) for arg in args]
                named = {keyword.arg: self.literal(keyword.value) for keyword in keywords if keyword.arg}
                try:
                    found = built(*given, **named)
                except TypeError as err:  # an argument that it does not have
                    raise NotStatic(node, f"'{ast.unparse(node)}': {_said(err)}") from err
            case _:
                raise NotStatic(node, f"'{ast.unparse(node)}' has to be a literal")
        return found


def _said(err: TypeError) -> str:
    """What Python says of wrong arguments, without the name of the function that it says it of."""
    return str(err).partition("() ")[2] or str(err)
