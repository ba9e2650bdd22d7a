"""What a plugin's hooks say, read from the syntax tree of the module that it announces."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from retouch.near import near_or_all
from retouch.paths import content
from retouch.plugins import trees
from retouch.plugins.discovery import Plugin, broken, installed
from retouch.plugins.hooks import HOOKS
from retouch.plugins.signatures import Fault
from retouch.plugins.signatures.literals import ModuleNames, NotStatic
from retouch.plugins.signatures.reading import STAR, starred

LITERAL = (
    "retouch_models",
    "retouch_families",
    "retouch_configs",
    "retouch_benches",
    "retouch_weights",
    "retouch_pretrained",
    "retouch_signers",
)
_MARKS = ("retouch.hookimpl", "retouch.api.hookimpl", "retouch.plugins.hooks.hookimpl")


@dataclass(frozen=True, slots=True)
class Announced:
    """The hooks that a plugin implements, and what the literal ones return."""

    plugin: Plugin
    home: Path  # the folder of the announced module
    hooks: tuple[str, ...] = ()
    literals: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    faults: tuple[Fault, ...] = ()

    def models(self) -> dict[str, Path]:
        """Return the folder of each model that the plugin ships."""
        return {name: self.home / folder for name, folder in self.literals.get("retouch_models", {}).items()}

    def families(self) -> Mapping[str, str]:
        """Return "module:name" of the family for each class of pipeline that it reads."""
        return self.literals.get("retouch_families", {})

    def configs(self) -> dict[str, Path]:
        """Return the folder of configs for each kind of single file that the plugin knows."""
        return {kind: self.home / folder for kind, folder in self.literals.get("retouch_configs", {}).items()}

    def weights(self) -> Mapping[str, str]:
        """Return where each file of weights lies that stages of the plugin name."""
        return self.literals.get("retouch_weights", {})

    def pretrained(self) -> dict[str, Path]:
        """Return the folder of each network that recipes may name beside a model."""
        return {name: self.home / folder for name, folder in self.literals.get("retouch_pretrained", {}).items()}

    def signers(self) -> Mapping[str, str]:
        """Return "module:name" of each signer of results that it brings."""
        return self.literals.get("retouch_signers", {})

    def benches(self) -> Mapping[str, str]:
        """Return "module:function" of each benchmark that it brings."""
        return self.literals.get("retouch_benches", {})


def announced(plugin: Plugin) -> Announced:
    """Read the hooks of a plugin; nothing of it is imported."""
    if refusal := plugin.refusal():
        return Announced(plugin, Path(), faults=(refusal,))
    try:
        path = plugin.source()
        return _read(plugin, path, content(path))
    except Exception as err:  # whatever a stranger's file holds
        return Announced(plugin, Path(), faults=(broken(plugin.name, err),))


@lru_cache(maxsize=256)  # by what it says: it is asked for many times in a check
def _read(plugin: Plugin, path: Path, text: bytes) -> Announced:
    tree = trees.module(text, str(path))
    names = ModuleNames(tree)
    found: dict[str, ast.FunctionDef] = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_hook(node, names)
    }
    literals: dict[str, Mapping[str, str]] = {}
    unmarked = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not _is_hook(node, names)]
    why = STAR if any(starred(tree)) else "it is not marked @hookimpl, so nobody would call it"
    faults = [
        Fault("RT904", plugin.name, {"stage": node.name, "what": why}, str(path), node.lineno)
        for node in unmarked
        if node.name in HOOKS
    ]
    for name, node in found.items():
        if name not in HOOKS:
            facts = {"plugin": plugin.name, "hook": name, "mend": near_or_all(name, HOOKS)}
            faults.append(Fault("RT905", plugin.name, facts, str(path), node.lineno))
    for name in found.keys() & set(LITERAL):
        try:
            literals[name] = _literal(found[name], names)
        except NotStatic as err:
            what = "returns a literal {name: text}, since it is read without being run"
            faults.append(Fault("RT904", plugin.name, {"stage": name, "what": what}, str(path), err.line))
    return Announced(plugin, path.parent, tuple(found), literals, tuple(faults))


def everything() -> Iterator[Announced]:
    """Read the hooks of all installed plugins."""
    return map(announced, installed())


def _is_hook(node: ast.FunctionDef, names: ModuleNames) -> bool:
    marks = (mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list)
    return any(names.path(mark) in _MARKS for mark in marks)


def _literal(node: ast.FunctionDef, names: ModuleNames) -> Mapping[str, str]:
    *before, last = node.body
    said: Any = names.literal(last.value) if isinstance(last, ast.Return) and last.value else None
    plain = isinstance(said, dict) and all(isinstance(text, str) for text in (*said, *said.values()))
    if not plain or not all(isinstance(each, ast.Expr) for each in before):  # an expression: the docstring
        raise NotStatic(node, "not a literal")
    return said
