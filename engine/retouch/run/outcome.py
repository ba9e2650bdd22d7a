"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retouch.graph.nodes import NodeId, Picture
from retouch.lang.diagnostics import Diagnostic
from retouch.run.executor import BatchInfo


@dataclass(slots=True)
class Outcome:
    """What became of one picture."""

    item: Picture | None
    files: list[Path] = field(default_factory=list[Path])
    notices: list[str] = field(default_factory=list[str])
    failures: list[Diagnostic] = field(default_factory=list[Diagnostic])
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])  # of results that are there
    rows: dict[NodeId, int] = field(default_factory=dict[NodeId, int])  # denoiser rows, counted
    resized: dict[NodeId, str] = field(default_factory=dict[NodeId, str])  # by strangers' stages that state no size
    values: dict[NodeId, Any] = field(default_factory=dict[NodeId, Any])  # of the stages that ended well

    @property
    def failed(self) -> bool:
        """Whether a result is missing."""
        return bool(self.failures)


@dataclass(slots=True)
class RunResult:
    """What a run came to: an outcome for each picture, and the calls that all of them shared."""

    outcomes: list[Outcome]
    calls: list[BatchInfo]

    @property
    def denoiser_calls(self) -> int:
        """Forward passes of the denoiser."""
        return sum(call.kind in ("denoise", "gradient") for call in self.calls)
