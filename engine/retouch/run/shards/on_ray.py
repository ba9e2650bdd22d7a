"""Workers on the machines of a Ray cluster: an actor on each starts a process, and hands lines to and fro.

The process is that of `processes`, so what holds of a stage that hangs or dies on one machine holds here; an actor that
is lost with its machine is a worker that has ended.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from retouch.run.shards.processes import ProcessWorker

LOCAL = "local"  # in place of an address: a cluster of this machine alone


def _ray() -> Any:
    """The package, which is installed only where it is asked for."""
    return import_module("ray")


class RayWorker:
    """A worker somewhere in the cluster."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._lines = actor.lines.options(num_returns="streaming").remote()

    def send(self, line: str) -> None:
        """Give it a line."""
        self._actor.send.remote(line)

    def lines(self) -> Iterator[str]:
        """Give what it says, until it has ended."""
        try:
            for each in self._lines:
                yield _ray().get(each)
        except _ray().exceptions.RayError:  # its machine or its actor is lost
            return

    def end(self) -> str:
        """End it and its actor."""
        try:
            return _ray().get(self._actor.end.remote(), timeout=5.0)
        except (_ray().exceptions.RayError, _ray().exceptions.GetTimeoutError):
            return "ended with its machine or its actor"
        finally:
            _ray().kill(self._actor)


class _Actor:
    """What Ray starts on a machine."""

    def __init__(self, environment: Mapping[str, str], folder: str) -> None:
        os.chdir(folder)  # a shared one, from which relative paths go
        self._worker = ProcessWorker(environment)

    def send(self, line: str) -> None:
        self._worker.send(line)

    def lines(self) -> Iterator[str]:
        yield from self._worker.lines()

    def end(self) -> str:
        return self._worker.end()


class Cluster:
    """A connection to a cluster.

    address: as Ray has it; LOCAL starts one here, "auto" finds the one that runs here.
    """

    def __init__(self, address: str, device: str, count: int) -> None:
        # No line of Ray's own between those of the run; what plugins print still comes.
        _ray().init(
            address=address,
            num_cpus=count if address == LOCAL else None,
            include_dashboard=False if address == LOCAL else None,
            logging_level=logging.ERROR,
            log_to_driver=True,
        )
        self._gpus = device.startswith("cuda")

    @property
    def most(self) -> int:
        """Workers that have room: one for each GPU, or one for each machine."""
        gpus = int(_ray().cluster_resources().get("GPU", 0)) if self._gpus else 0
        return gpus or sum(bool(node["Alive"]) for node in _ray().nodes())

    def start(self, environment: Mapping[str, str]) -> RayWorker:
        """A worker, on a machine that has few."""
        # Several threads of the actor wait at once: for lines, for its end, and for what is sent.
        kind = (
            _ray()
            .remote(_Actor)
            .options(
                num_cpus=1,
                num_gpus=1 if self._gpus else 0,
                max_concurrency=4,
                max_restarts=0,
                scheduling_strategy="SPREAD",
            )
        )
        return RayWorker(kind.remote(dict(environment), os.getcwd()))

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        _ray().shutdown()
