"""Each kind of node below a flow, on one line, as a recipe writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import singledispatch

from retouch.lang import syntax as s
from retouch.lang.source import INVISIBLE


@singledispatch
def spell(node: s.SyntaxNode) -> str:
    """Return the node as text. A node that stands for a mistake has none."""
    raise ValueError(f"a recipe with mistakes has no layout: {type(node).__name__} at {node.span}")


@spell.register
def _(node: s.Text) -> str:
    text = json.dumps(node.value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@spell.register
def _(node: s.Number) -> str:
    return node.raw


@spell.register
def _(node: s.Bool) -> str:
    return "true" if node.value else "false"


@spell.register
def _(node: s.Ref | s.Word) -> str:
    return node.name


@spell.register
def _(node: s.List) -> str:
    return f"[{joined(node.items)}]"


@spell.register
def _(node: s.RowSyntax) -> str:
    return f"({joined(node.items)})"


@spell.register
def _(node: s.GroupSyntax) -> str:
    return f"({joined(node.changes, ' ')})"


@spell.register
def _(node: s.TurnSyntax) -> str:
    return f"({joined(node.flow.parts, ' | ')})"


@spell.register
def _(node: s.Replace) -> str:
    return f"{spell(node.source)}->{spell(node.target)}{weight(node.weight)}"


@spell.register
def _(node: s.Weigh) -> str:
    return f"{spell(node.word)}{weight(node.weight)}"


@spell.register
def _(node: s.Add) -> str:
    return f"+{spell(node.word)}{weight(node.weight)}"


@spell.register
def _(node: s.Remove) -> str:
    return f"-{spell(node.word)}"


@spell.register
def _(node: s.OptionSyntax) -> str:
    return f"{node.name.name}={spell(node.value)}"


@spell.register
def _(node: s.Param) -> str:
    return node.name.name + (f"={spell(node.default)}" if node.default else "")


@spell.register
def _(node: s.CallSyntax) -> str:
    return f"{node.name.name}({joined(node.args + node.named)})"


@spell.register
def _(node: s.Stage) -> str:
    methods = f"[{joined(node.methods)}]" if len(node.methods) > 1 else joined(node.methods)
    rest = joined(node.operand + node.options, " ")
    return " ".join(part for part in (node.family.name, methods, rest) if part)


def joined(nodes: Iterable[s.SyntaxNode], between: str = ", ") -> str:
    """Several nodes side by side."""
    return between.join(map(spell, nodes))


def weight(value: s.SyntaxNode | None) -> str:
    """A weight, if there is one."""
    return f"*{spell(value)}" if value else ""
