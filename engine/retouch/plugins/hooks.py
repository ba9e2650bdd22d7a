"""What a plugin may tell the engine. Hooks register and observe; they never carry data from stage to stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo

PROJECT = "retouch"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def retouch_stages() -> Iterable[Callable[..., Any]]:  # pyright: ignore[reportReturnType]
    """Stages this plugin adds: functions marked with @stage."""


@hookspec
def retouch_port_types() -> Iterable[type]:  # pyright: ignore[reportReturnType]
    """New kinds of value that stages may exchange, such as a 3D scene."""


@hookspec
def retouch_models() -> Iterable[ModelInfo]:  # pyright: ignore[reportReturnType]
    """Models this plugin ships and can load."""


@hookspec
def retouch_batch_evaluated(batch: object) -> None:
    """Called after each fused forward pass; for tracing and progress. Must not change anything."""
