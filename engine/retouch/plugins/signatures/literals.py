"""Names and literals of a module, read from its syntax tree, and of those beside it that it takes constants from."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Iterator
from typing import Any

from retouch.core.declared.demands import Moot, Need, WordsOf
from retouch.core.declared.endings import Ending
from retouch.core.declared.touches import Pattern, Range, Touch
from retouch.plugins.signatures.package import NoModule, Package

_DATA = (Ending, Moot, Need, Pattern, Range, Touch, WordsOf)
_BUILT = {f"retouch.api.{built.__name__}": built for built in _DATA}
_BUILT |= {f"{built.__module__}.{built.__name__}": built for built in _DATA}
_ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class NotStatic(Exception):
    """What is written cannot be known without running it."""

    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(what)
        self.line: int = getattr(node, "lineno", 0)


class Circular(NotStatic):
    """A constant that stands for itself in the end."""


class ModuleNames:
    """What the names of a module stand for: imported things by dotted path, constants by their expression.

    package, module: what lies beside it, and its own name: where it imports constants from.
    """

    def __init__(self, tree: ast.Module, package: Package | None = None, module: str = "") -> None:
        self._paths: dict[str, str] = {}
        self._constants: dict[str, ast.expr] = {}
        self._package, self._module = package, module
        self._others: dict[str, ModuleNames] = {}  # of the package, shared by all of them
        self._reading: list[str] = []  # constants that are being read, likewise
        for node in tree.body:
            self._learn(node)

    def _learn(self, node: ast.stmt) -> None:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    self._paths[alias.asname or top] = alias.name if alias.asname else top
            case ast.ImportFrom(module=named, level=level, names=names) if module := self._absolute(named, level):
                self._paths |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._constants[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._constants[name] = value
            case ast.AugAssign(target=ast.Name(id=name)):
                self._constants.pop(name, None)  # it is more than is written there
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
            case ast.Dict(keys=keys, values=values):
                found = self._mapping(keys, values)
            case ast.Name(id=name) if constant := self._constants.get(name):
                found = self._once(f":{self._module}.{name}", node, lambda: self.literal(constant))
            case ast.Name() | ast.Attribute() if "." in (path := self.path(node)):
                found = self._imported(path, node)
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

    def _absolute(self, module: str | None, level: int) -> str:
        """The whole name of a module that is imported from, which dots may tell from where this one stands."""
        if not level:
            return module or ""
        parts = self._module.split(".")
        inside = self._package is not None and self._package.names_a_package(self._module)
        kept = parts[: len(parts) + inside - level]
        return ".".join([*kept, *([module] if module else [])]) if kept else ""

    def _mapping(self, keys: list[ast.expr | None], values: list[ast.expr]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(keys, values, strict=True):
            if key is not None:
                found[self.literal(key)] = self.literal(value)
            elif isinstance(more := self.literal(value), dict):
                found |= more
            else:
                raise NotStatic(value, f"'{ast.unparse(value)}' has to be a mapping")
        return found

    def _imported(self, path: str, node: ast.expr) -> Any:
        """The constant of another module that a dotted path leads to."""
        module, _, name = path.rpartition(".")
        if self._package is None or not self._package.holds(module):
            what = f"'{ast.unparse(node)}' has to be a literal; constants of other packages are not read"
            raise NotStatic(node, what)
        try:
            other = self._beside(module)
            return self._once(
                f"{self._module}:{path}", node, lambda: other.literal(ast.copy_location(ast.Name(name), node))
            )
        except NoModule as err:
            raise NotStatic(node, f"'{ast.unparse(node)}' is not to be had: {err}") from err
        except NotStatic as err:
            if isinstance(err, Circular):
                raise
            raise NotStatic(node, f"'{ast.unparse(node)}' of '{module}' is no plain constant: {err}") from err

    def _beside(self, module: str) -> ModuleNames:
        """The names of another module of the package.  Raises NoModule."""
        assert self._package
        if module not in self._others:
            found = ModuleNames(self._package.tree(module), self._package, module)
            found._others, found._reading = self._others, self._reading
            self._others[module] = found
        return self._others[module]

    def _once(self, key: str, node: ast.expr, read: Callable[[], Any]) -> Any:
        """What is read of a constant, unless that leads back to itself.  key: who asks, a colon, and whose it is."""
        if key in self._reading:
            way = dict.fromkeys(each.partition(":")[2] for each in (*self._reading, key))
            raise Circular(node, f"'{ast.unparse(node)}' leads back to itself, by {', '.join(way)}")
        self._reading.append(key)
        try:
            return read()
        finally:
            self._reading.pop()


def _said(err: TypeError) -> str:
    """What Python says of wrong arguments, without the name of the function that it says it of."""
    return str(err).partition("() ")[2] or str(err)
