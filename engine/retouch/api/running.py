"""Graphs run: many at once, their calls shared, on models that may stay loaded."""

from __future__ import annotations

from retouch.run.executor import BatchInfo, Executor
from retouch.run.files.provenance import software
from retouch.run.model_cache import KeptMachines
from retouch.run.outcome import Outcome, Result
from retouch.run.session import execute
from retouch.run.settings import Settings
from retouch.run.task import Task

__all__ = [
    "BatchInfo",
    "Executor",
    "KeptMachines",
    "Outcome",
    "Result",
    "Settings",
    "Task",
    "execute",
    "software",
]
