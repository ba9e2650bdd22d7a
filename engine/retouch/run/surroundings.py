"""What a plugin's code may change for everyone while it runs, and putting that back when it gives way.

What is cheap to read is read before and after each advance of a stranger's stage.  What cannot be seen or undone in a
process is not here: `os._exit`, memory written by other libraries, files that are deleted.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F
from torch.nn.modules import module as module_hooks

Same = Callable[[Any, Any], bool]


class _Thing(NamedTuple):
    read: Callable[[], Any]
    restore: Callable[[Any], None]
    same: Same = lambda a, b: a == b


# Of torch, what engine and methods work with most; all of a thousand would cost more than an advance.
_TORCH = ("add", "cat", "clamp", "equal", "full_like", "isfinite", "lerp", "no_grad", "ones_like", "rand", "randn")
_TORCH += ("stack", "sub", "tensor", "where", "zeros", "zeros_like")

_NETWORK = ("adaptive_max_pool2d", "conv2d", "group_norm", "interpolate", "layer_norm", "linear", "max_pool2d", "pad")
_NETWORK += ("scaled_dot_product_attention", "silu", "softmax")


def _functions(module: ModuleType, names: Iterable[str]) -> _Thing:
    def restore(before: Mapping[str, Any]) -> None:
        for name, value in before.items():
            setattr(module, name, value)

    return _Thing(lambda: {name: getattr(module, name, None) for name in names}, restore)


def _set_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # pyright: ignore[reportIndexIssue]
    warnings._filters_mutated()  # pyright: ignore[reportAttributeAccessIssue]: as warnings.catch_warnings does


def _environment() -> dict[Any, Any]:
    return dict(getattr(os.environ, "_data", os.environ))  # undecoded, which is faster by far


def _set_environment(before: dict[Any, Any]) -> None:
    os.environ.clear()
    os.environ.update({os.fsdecode(name): os.fsdecode(value) for name, value in before.items()})


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # someone has removed it
        return ""


def _set_grad(before: bool) -> None:
    torch.set_grad_enabled(before)


def _set_handler(before: Any) -> None:
    signal.signal(signal.SIGINT, before)


def _set_streams(before: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = before


def _hooks() -> tuple[dict[Any, Any], ...]:
    """Functions that torch calls at every module there is, whosever it is."""
    return tuple(getattr(module_hooks, name) for name in _HOOKS)


def _set_hooks(before: tuple[dict[Any, Any], ...]) -> None:
    for hooks, kept in zip(_hooks(), before, strict=True):
        hooks.clear()
        hooks.update(kept)


def _set_path(before: list[str]) -> None:
    sys.path[:] = before


def _traced() -> tuple[Any, Any]:
    return sys.gettrace(), sys.getprofile()


def _set_traced(before: tuple[Any, Any]) -> None:
    sys.settrace(before[0])
    sys.setprofile(before[1])


def _logging() -> tuple[Any, ...]:
    return logging.root.level, logging.root.manager.disable, *logging.root.handlers


def _set_logging(before: tuple[Any, ...]) -> None:
    logging.root.level, logging.root.manager.disable, *logging.root.handlers = before


def _set_locale(before: str) -> None:
    locale.setlocale(locale.LC_ALL, before)


def _set_modules(before: Mapping[str, ModuleType]) -> None:
    sys.modules.update({name: module for name, module in before.items() if module})


_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks", "_global_backward_pre_hooks")
_MODULES = ("torch", "numpy", "retouch", "retouch.api")

_THINGS: Mapping[str, _Thing] = {
    "the default dtype": _Thing(torch.get_default_dtype, torch.set_default_dtype),
    "the default device": _Thing(
        torch.get_default_device, lambda before: torch.set_default_device(None if before.type == "cpu" else before)
    ),
    "whether gradients are kept": _Thing(torch.is_grad_enabled, _set_grad),
    "the state of torch's random numbers; noise comes from a NoiseSource": _Thing(
        torch.get_rng_state, torch.set_rng_state, torch.equal
    ),
    "the number of threads": _Thing(torch.get_num_threads, torch.set_num_threads),
    "a function of torch": _functions(torch, _TORCH),
    "a function of torch.nn.functional": _functions(F, _NETWORK),
    "the folder that the process is in": _Thing(_here, lambda before: os.chdir(before) if before else None),
    "the environment": _Thing(_environment, _set_environment),
    "the filters of warnings": _Thing(lambda: list(warnings.filters), _set_filters),
    "standard output or error": _Thing(
        lambda: (sys.stdout, sys.stderr), _set_streams, lambda a, b: a[0] is b[0] and a[1] is b[1]
    ),
    "the state of Python's random numbers": _Thing(random.getstate, random.setstate),
    "what torch calls at every module": _Thing(lambda: tuple(map(dict, _hooks())), _set_hooks),
    "whether torch repeats its sums": _Thing(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
    ),
    "how torch multiplies": _Thing(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "where modules are looked for": _Thing(lambda: list(sys.path), _set_path),
    "which modules there are": _Thing(lambda: {name: sys.modules.get(name) for name in _MODULES}, _set_modules),
    "who is told of each line that runs": _Thing(_traced, _set_traced),
    "what is logged, and where": _Thing(_logging, _set_logging),
    "how numbers are written": _Thing(lambda: locale.setlocale(locale.LC_ALL), _set_locale),
    "how deep calls may go": _Thing(sys.getrecursionlimit, sys.setrecursionlimit),
    "whether garbage is collected": _Thing(gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
}
_MAIN_THREAD: Mapping[str, _Thing] = {
    "the handler of Ctrl-C": _Thing(lambda: signal.getsignal(signal.SIGINT), _set_handler),
}


@dataclass(slots=True)
class Unchanged:
    """While this lasts somebody else's code runs; at its end what it changed is put back, and `tell` hears of each."""

    tell: Callable[[str], None]
    _before: Mapping[str, Any] | None = None

    def __enter__(self) -> None:
        self._before = {name: thing.read() for name, thing in _things().items()}

    def __exit__(self, *_: object) -> None:
        for name, thing in _things().items():
            before = (self._before or {}).get(name)
            if name in (self._before or {}) and not thing.same(before, thing.read()):
                thing.restore(before)
                self.tell(name)


def _things() -> Mapping[str, _Thing]:
    main = threading.current_thread() is threading.main_thread()
    return {**_THINGS, **_MAIN_THREAD} if main else _THINGS
