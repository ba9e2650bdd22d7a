"""What Python keeps for the whole process: its own functions, streams, modules, and what is done when."""

from __future__ import annotations

import builtins
import gc
import json
import locale
import logging
import random
import sys
import threading
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from retouch.plugins.surroundings.thing import Thing, identical, names

_BUILTINS: Any = vars(builtins)
_MODULES = ("torch", "numpy", "retouch", "retouch.api")


def _kept_builtins(before: dict[str, Any], now: dict[str, Any]) -> bool:
    return before.items() <= now.items()  # said without any of them


def _same_filters(before: list[Any], now: list[Any]) -> bool:
    """What a library puts before the others for modules or warnings of its own, when it is imported, is no change."""
    return before == now or before == [each for each in now if each in before or not _is_of_one(*each)]


def _is_of_one(action: str, _text: object, category: type[Warning], module: object, _line: int) -> bool:
    return action != "error" and (module is not None or category.__module__ != "builtins")


def _set_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # pyright: ignore[reportIndexIssue]
    warnings._filters_mutated()  # pyright: ignore[reportAttributeAccessIssue]: as warnings.catch_warnings does


def _set_streams(before: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = before


def _paths() -> tuple[list[Any], ...]:
    return [*sys.path], [*sys.meta_path], [*sys.path_hooks]


def _same_paths(before: tuple[list[Any], ...], now: tuple[list[Any], ...]) -> bool:
    """What is put behind all others is asked for nothing that they find; libraries do so when they are imported."""
    return all(map(identical, before, [found[: len(known)] for known, found in zip(before, now, strict=True)]))


def _set_paths(before: tuple[list[Any], ...]) -> None:
    sys.path[:], sys.meta_path[:], sys.path_hooks[:] = before


def _traced() -> tuple[Any, ...]:
    return sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()


def _set_traced(before: tuple[Any, ...]) -> None:
    sys.settrace(before[0])
    sys.setprofile(before[1])
    threading.settrace(before[2])
    threading.setprofile(before[3])


def _last_words() -> tuple[Any, ...]:
    return sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook


def _set_last_words(before: tuple[Any, ...]) -> None:
    sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook = before


def _logging() -> tuple[Any, ...]:
    return logging.root.level, logging.root.manager.disable, *logging.root.handlers


def _set_logging(before: tuple[Any, ...]) -> None:
    logging.root.level, logging.root.manager.disable, *logging.root.handlers = before


def _set_modules(before: Mapping[str, ModuleType]) -> None:
    sys.modules.update({name: module for name, module in before.items() if module})


def _garbage() -> tuple[Any, ...]:
    return gc.isenabled(), gc.get_threshold(), *gc.callbacks


def _set_garbage(before: tuple[Any, ...]) -> None:
    (gc.enable if before[0] else gc.disable)()
    gc.set_threshold(*before[1])
    gc.callbacks[:] = before[2:]


# In this order: nothing else can be read while Python's own functions are others, or while calls may not go deep.
OF_PYTHON: Mapping[str, Thing] = {
    "a function of Python's": Thing(_BUILTINS.copy, _BUILTINS.update, _kept_builtins),
    "how deep calls may go": Thing(sys.getrecursionlimit, sys.setrecursionlimit),
    "standard output or error": Thing(lambda: (sys.stdout, sys.stderr), _set_streams, identical),
    "the filters of warnings": Thing(lambda: list(warnings.filters), _set_filters, _same_filters),
    "the state of Python's random numbers": Thing(random.getstate, random.setstate),
    "where modules are looked for": Thing(_paths, _set_paths, _same_paths),
    "which modules there are": Thing(lambda: {name: sys.modules.get(name) for name in _MODULES}, _set_modules),
    "who is told of each line that runs": Thing(_traced, _set_traced),
    "what becomes of exceptions that nobody catches": Thing(_last_words, _set_last_words),
    "what is logged, and where": Thing(_logging, _set_logging),
    "how numbers are written": Thing(
        lambda: locale.setlocale(locale.LC_ALL), lambda before: locale.setlocale(locale.LC_ALL, before)
    ),
    "how much room new threads have": Thing(threading.stack_size, threading.stack_size),
    "how long a number may be in digits": Thing(sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    "how threads take turns": Thing(sys.getswitchinterval, sys.setswitchinterval),
    "whether garbage is collected": Thing(_garbage, _set_garbage),
    "a function of json": names(json),
}
