"""What `torch.cuda` says of the pretended device: streams in whose order all is done, and memory without an end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch

from retouch.testing.pretend.graphs import GraphPool, PretendedGraph, capture
from retouch.testing.pretend.noting import PretendedDevice, waited

MEMORY = 80 * 10**9  # bytes, of a card that is large enough for what tests do


class Stream:
    """As `torch.cuda.Stream`; whatever it is given has been done when the call returns."""

    def __init__(self, device: object = None, **_how: object) -> None:
        self.device = device

    def wait_stream(self, stream: Stream) -> None:
        """It has been done."""

    def wait_event(self, event: Event) -> None:
        """It has been done."""

    def record_event(self, event: Event | None = None) -> Event:
        """A mark."""
        return event or Event()

    def synchronize(self) -> None:
        """Note that the host would wait."""
        waited("the host waits for a stream")


class Event:
    """As `torch.cuda.Event`."""

    def __init__(self, **_how: object) -> None:
        pass

    def record(self, stream: Stream | None = None) -> None:
        """It has been done."""

    def query(self) -> bool:
        """It has been done."""
        return True

    def wait(self, stream: Stream | None = None) -> None:
        """It has been done."""

    def synchronize(self) -> None:
        """Note that the host would wait."""
        waited("the host waits for an event")

    def elapsed_time(self, other: Event) -> float:
        """No time passes.  In milliseconds"""
        return 1e-3


@contextmanager
def answering(device: PretendedDevice) -> Iterator[None]:
    """Let `torch.cuda` speak of the pretended device as long as this lasts."""
    current = Stream()
    of_card = SimpleNamespace(name="a pretended GPU", total_memory=MEMORY, major=9, minor=0, multi_processor_count=132)
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: of_card.name,
        "get_device_properties": lambda *_: of_card,
        "get_device_capability": lambda *_: (of_card.major, of_card.minor),
        "is_bf16_supported": lambda *_: True,
        "mem_get_info": lambda *_: (MEMORY, MEMORY),
        **dict.fromkeys(("memory_allocated", "memory_reserved", "max_memory_allocated"), lambda *_: 0),
        **dict.fromkeys(("empty_cache", "reset_peak_memory_stats", "set_per_process_memory_fraction"), lambda *_: None),
        "get_rng_state": lambda *_: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda *_: None,
        "manual_seed_all": lambda _: None,
        "synchronize": lambda *_: waited("the host waits for the device"),
        "Stream": Stream,
        "Event": Event,
        "stream": lambda _: nullcontext(),
        "set_stream": lambda _: None,
        "current_stream": lambda *_: current,
        "CUDAGraph": PretendedGraph,
        "graph": capture,
        "graph_pool_handle": GraphPool,
        "is_current_stream_capturing": lambda: device.capturing is not None,
    }
    before = {name: getattr(torch.cuda, name) for name in answers}
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    try:
        yield
    finally:
        for name, answer in before.items():
            setattr(torch.cuda, name, answer)
