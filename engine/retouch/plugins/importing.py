"""Importing what a plugin names, so that a stranger's module changes nothing for everyone else.

What its stages do is watched while they run; a module does it once, for the rest of the process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from types import ModuleType

from retouch.plugins.discovery import is_built_in


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
    if is_built_in(module):
        return nullcontext()
    from retouch.plugins.surroundings import Unchanged

    return Unchanged(tell)
