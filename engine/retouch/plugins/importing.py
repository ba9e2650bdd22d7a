"""Importing what a plugin names, so that a stranger's module changes nothing for everyone else.

What its stages do is watched while they run; a module does it once, for the rest of the process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

from retouch.plugins.discovery import is_built_in
from retouch.plugins.survival import one_process, surviving

# What the engine and its plugins are made of; setuptools puts a distutils of its own in the place of Python's.
_LIBRARIES = {"diffusers", "numpy", "PIL", "pluggy", "retouch", "safetensors", "torch", "transformers"}
_EVERYONES = sys.stdlib_module_names - {"distutils"} | _LIBRARIES


def imported(module: str, tell: Callable[[str], object] = bool) -> ModuleType:
    """The module of that name; `tell` hears of what a stranger's changed when it was imported, and is put back."""
    if module in sys.modules:
        return sys.modules[module]
    with surrounded(module, tell):
        return import_module(module)


def imported_stages(module: str, tell: Callable[[str], object] = bool) -> ModuleType:
    """The same of a module with stages, which loads torch, if nobody has: what torch keeps has to be known before."""
    if module not in sys.modules and not is_built_in(module):
        import_module("torch")
    return imported(module, tell)


def surrounded(module: str, tell: Callable[[str], object] = bool) -> AbstractContextManager[None]:
    """What a stranger's code of that module is run in; nothing round what comes with the engine."""
    return nullcontext() if is_built_in(module) else _surrounded(module, tell)


@contextmanager
def _surrounded(module: str, tell: Callable[[str], object]) -> Iterator[None]:
    from retouch.plugins.surroundings import Unchanged

    with surviving(), one_process(), _modules_kept(module, tell), Unchanged(tell):
        yield


@contextmanager
def _modules_kept(plugin: str, tell: Callable[[str], object]) -> Iterator[None]:
    """Keep the modules that are there; of those that come, none stays that is loaded by half."""
    before = dict(sys.modules)
    try:
        yield
    finally:
        replaced = {name: each for name, each in before.items() if sys.modules.get(name) is not each}
        if replaced := {name: each for name, each in replaced.items() if name.partition(".")[0] in _EVERYONES}:
            sys.modules.update(replaced)
            tell("which modules there are")
        _forget_half_loaded(plugin, before)


def _forget_half_loaded(plugin: str, before: Mapping[str, object]) -> None:
    """Take what an import that failed has left out of `sys.modules`, so that the next begins anew.

    Python drops the module that failed and keeps what that had imported before.  Of the plugin all goes, since its
    modules may know one another.  Of a library whose own import failed, its submodules go that are left without their
    package; unless a part of it is native code, which cannot be loaded twice.
    """
    fresh = {name: module for name, module in list(sys.modules.items()) if name not in before}
    own = plugin.partition(".")[0]
    gone = {name for name in fresh if plugin not in sys.modules and name.partition(".")[0] == own}
    orphans = {name for name in fresh if any(parent not in sys.modules for parent in _parents(name))}
    for half in {name.partition(".")[0] for name in orphans}:
        parts = {name: module for name, module in fresh.items() if name.partition(".")[0] == half}
        if half == own or all(map(_is_python, parts.values())):
            gone |= orphans & parts.keys()
    for name in gone:
        package, _, last = name.rpartition(".")
        del sys.modules[name]
        if vars(sys.modules.get(package, object)).get(last) is fresh[name]:
            delattr(sys.modules[package], last)


def _parents(name: str) -> list[str]:
    words = name.split(".")
    return [".".join(words[:count]) for count in range(1, len(words))]


def _is_python(module: Any) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), SourceFileLoader)
