"""Graphs run: many at once, their calls shared, on models that may stay loaded."""

from __future__ import annotations

from retouch.run.executor import BatchInfo, Executor
from retouch.run.files.provenance import software
from retouch.run.loaded.model_cache import KeptMachines
from retouch.run.outcome import Outcome, RunResult
from retouch.run.session import execute
from retouch.run.settings import Settings
from retouch.run.task import Task

Result = RunResult  # its name until 1.0

__all__ = [
    "BatchInfo",
    "Executor",
    "KeptMachines",
    "Outcome",
    "Result",
    "RunResult",
    "Settings",
    "Task",
    "execute",
    "software",
]
