"""The hooks: everything that a plugin may tell the engine.  Hooks register and observe; values go through stages alone.

A hook whose docstring says "a literal" is read from the syntax tree of the module that the plugin announces, so that
light commands know what is there without importing it.  What pluggy gets from it later has to be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

PROJECT = "retouch"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def retouch_stages() -> Iterable[Callable[..., Any]]:  # pyright: ignore[reportReturnType]
    """Register stages: functions marked with @stage.  Without this hook every marked function of the plugin counts."""


@hookspec
def retouch_models() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]
    """Register models, as a literal: name to folder, relative to the announced module's own."""


@hookspec
def retouch_families() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]
    """Register families of models, as a literal: class of pipeline to "module:name" of what reads its models."""


@hookspec
def retouch_configs() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]
    """Register configs for single files, as a literal: kind of file to folder, relative to the module's own."""


@hookspec
def retouch_benches() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]
    """Register benchmarks, as a literal: name to "module:function", which takes the rest of the command line."""


@hookspec
def retouch_weights() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]
    """Register weights of the plugin's own, as a literal: name to file, beside the module, in a package, of the hub."""


@hookspec
def retouch_pretrained() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]
    """Register networks that recipes name beside a model, as a literal: name to folder, beside the module."""


@hookspec
def retouch_signers() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]
    """Register what signs results, as a literal: name, as of `--sign`, to "module:name" of the signer."""


@hookspec
def retouch_port_types() -> Iterable[type]:  # pyright: ignore[reportReturnType]
    """Register kinds of value that stages exchange, such as a mesh, so that one name is one class."""


@hookspec
def retouch_batch_evaluated(kind: str, rows: int, bucket: int) -> None:
    """Observe a shared call: its kind, its rows, and the rows that it was padded to.

    kind: "denoise" and "gradient" of the denoiser, without and with a gradient, "apply" of another function, "backward"
        of a way back, "read" of numbers that are brought to the host.
    """


HOOKS = tuple(name for name in dir() if name.startswith("retouch_"))
