"""Reading the stages of a plugin's file: every `@stage` at the top of the module becomes a card or a fault."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from inspect import cleandoc
from pathlib import Path
from typing import NamedTuple, TypeGuard

from retouch.near import near_or_all
from retouch.paths import content
from retouch.plugins import trees
from retouch.plugins.signatures.annotations import read_kind, read_port, type_name
from retouch.plugins.signatures.literals import ModuleNames, NotStatic
from retouch.plugins.signatures.package import Package
from retouch.plugins.signatures.settings import check_default, check_name, check_settings
from retouch.plugins.signatures.signature import Fault, Option, StageCard

_MARKS = ("retouch.api.stage", "retouch.plugins.stage.stage")
_SETTINGS = ("paper", "version", "api", "stability", "default", "touches", "reads", "rows", "facts")
_SETTINGS += (
    "needs",
    "moot",
    "predicts",
    "told",
    "instead",
    "weights",
    "pretrained",
    "words",
    "side",
    "prompts",
    "folder",
    "tensors",
)
GIVES = {  # by families of which nothing is taken but a value: its type, mostly
    "mask": "Mask",
    "invert": "Trajectory",
    "guide": "Guidance",
    "blend": "Blend",
    "distil": "Latents",
    "tune": "Denoiser",
    "schedule": "Schedule",
    "solver": "Rule",
    "crop": "Window",
    "paste": "Image",
    "adjust": "Image",
    "draw": "Candidates",
}
WRITTEN = "it is written @stage(family, method, …) over ports, '*' and options"
STAR = "'from retouch.api import *' hides the stages of the file from whoever reads it; import the names that it needs"
Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Source(NamedTuple):
    path: Path
    module: str
    plugin: str
    names: ModuleNames


def read_module(path: Path, module: str, plugin: str) -> tuple[tuple[StageCard, ...], tuple[Fault, ...]]:
    """The cards of one file, and what is wrong with the stages that have none. A syntax error is the caller's."""
    text = content(path)
    if b"stage" not in text:
        return (), ()
    cards, faults, others = _read(text, path, module, plugin)
    if any(not other.is_file() or content(other) != then for other, then in others.items()):
        _read.cache_clear()  # a constant of theirs may be another
        cards, faults, _ = _read(text, path, module, plugin)
    return cards, faults


@lru_cache(maxsize=1024)  # by what it says: a process that checks many recipes reads each file's stages once
def _read(
    text: bytes, path: Path, module: str, plugin: str
) -> tuple[tuple[StageCard, ...], tuple[Fault, ...], Mapping[Path, bytes]]:
    tree, package = trees.module(text, str(path)), Package(path, module)
    source = _Source(path, module, plugin, ModuleNames(tree, package, module))
    marked = [(node, mark) for node in tree.body if isinstance(node, Function) for mark in _marks(node, source.names)]
    cards: list[StageCard] = []
    faults: list[Fault] = []
    for node, mark in marked:
        try:
            cards.append(_card(node, mark, source))
        except NotStatic as err:
            faults.append(_fault(source, _label(mark, node), str(err), err.line or node.lineno))
        except Exception as err:  # whatever a stranger writes, the other stages are read
            what = f"it cannot be read: {type(err).__name__}: {err}"
            faults.append(_fault(source, _label(mark, node), what, node.lineno))
    faults += [_fault(source, "@stage", STAR, line) for line in starred(tree)]
    faults += [
        _fault(source, node.name, f"{WRITTEN}, and this is @stage alone", mark.lineno)
        for node in tree.body
        if isinstance(node, Function)
        for mark in node.decorator_list
        if not isinstance(mark, ast.Call) and source.names.path(mark) in _MARKS
    ]
    seen = [mark for _, mark in marked]
    hidden = (
        mark
        for node in _where_hidden(tree, text, source.names)
        for mark in ast.walk(node)
        if _is_mark(mark, source.names)
    )
    faults += [
        _fault(source, "@stage", "it stands on a function at the top of a file", mark.lineno)
        for mark in hidden
        if mark not in seen
    ]
    return tuple(cards), tuple(faults), package.read


def _where_hidden(tree: ast.Module, text: bytes, names: ModuleNames) -> Iterator[ast.AST]:
    """Give the parts of a file in which a mark may stand: in most bodies nothing is called as one.

    To walk through all of each tree took a quarter of the time in which a command reads all plugins.
    """
    lines = text.splitlines()
    words = [word.encode() for word in {"stage", *names.called(_MARKS)}]
    for node in tree.body:
        body = b"\n".join(lines[node.lineno - 1 : node.end_lineno])  # of a function or class, from below its decorators
        if any(word in body for word in words):
            yield node
        else:
            yield from getattr(node, "decorator_list", ())


def starred(tree: ast.Module) -> Iterator[int]:
    """Lines that import whatever there is, so that the tree does not say which name is the mark."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in ("retouch", "retouch.api") and node.names[0].name == "*":
            yield node.lineno


def _fault(source: _Source, stage: str, what: str, line: int) -> Fault:
    return Fault("RT904", source.plugin, {"stage": stage, "what": what}, str(source.path), line)


def _is_mark(node: ast.AST, names: ModuleNames) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and names.path(node.func) in _MARKS


def _marks(node: Function, names: ModuleNames) -> Iterator[ast.Call]:
    return (mark for mark in node.decorator_list if _is_mark(mark, names))


def _label(mark: ast.Call, node: Function) -> str:
    words = [arg.value for arg in mark.args if isinstance(arg, ast.Constant)]
    return " ".join(map(str, words)) or node.name


def _card(node: Function, mark: ast.Call, source: _Source) -> StageCard:
    names = source.names
    if len(mark.args) != 2 or node.args.posonlyargs or node.args.vararg or node.args.kwarg:
        raise NotStatic(mark, WRITTEN)
    family, method = (names.literal(arg) for arg in mark.args)
    check_name(mark, family, method)
    settings = {keyword.arg or "**": names.literal(keyword.value) for keyword in mark.keywords}
    if unknown := settings.keys() - set(_SETTINGS):
        raise NotStatic(mark, f"@stage has no setting '{min(unknown)}'; {near_or_all(min(unknown), _SETTINGS)}")
    doc = cleandoc(ast.get_docstring(node) or "")
    args = node.args
    gap = len(args.args) - len(args.defaults)
    ports = tuple(
        read_port(arg.arg, _annotation(arg), args.defaults[i - gap] if i >= gap else None, names)
        for i, arg in enumerate(args.args)
    )
    options = tuple(
        _option(arg, default, names, doc) for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    )
    check_settings(mark, settings, options)
    output = _output(family, node, bool(settings.get("touches")), names)
    place = {"module": source.module, "function": node.name, "file": str(source.path), "line": node.lineno}
    return StageCard(
        family, method, **place, ports=ports, options=options, output=output, doc=doc, plugin=source.plugin, **settings
    )


def _annotation(arg: ast.arg) -> ast.expr:
    if arg.annotation is None:
        raise NotStatic(arg, f"'{arg.arg}' has no type")
    return arg.annotation


def _output(family: str, node: Function, touches: bool, names: ModuleNames) -> str | None:
    """Return the output type; a stage that declares touches makes a control of its functions."""
    if touches:
        return "AttentionControl"
    if node.returns is None and family in GIVES:
        raise NotStatic(node, f"it does not say what it gives: write '-> {GIVES[family]}' before its ':'")
    if node.returns is None or (isinstance(node.returns, ast.Constant) and node.returns.value is None):
        return None
    return type_name(node.returns, names)


def _option(arg: ast.arg, default: ast.expr | None, names: ModuleNames, doc: str) -> Option:
    kind = read_kind(_annotation(arg), names)
    try:
        value = None if default is None else names.literal(default)
    except NotStatic as err:
        raise NotStatic(arg, f"the default of '{arg.arg}' is read without running it: {err}") from err
    name = arg.arg.rstrip("_")
    option = Option(name, arg.arg, kind, value, default is None, option_docs(doc).get(arg.arg, ""))
    check_default(arg, option)
    return option


def option_docs(doc: str) -> dict[str, str]:
    """Return the line of each option in a docstring: `cross, self_: fraction of the steps …`."""
    found: dict[str, str] = {}
    current: list[str] = []
    for line in doc.splitlines()[1:]:
        if head := re.match(r"(\w+(?:, \w+)*): (.+)", line):
            current = head[1].split(", ")
            found |= dict.fromkeys(current, head[2])
        elif current and line.startswith(" "):
            found |= {name: f"{found[name]} {line.strip()}" for name in current}
        else:
            current = []
    return found
