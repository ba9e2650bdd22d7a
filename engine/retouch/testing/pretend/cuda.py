"""What `torch.cuda` says of the pretended device: streams in whose order all is done, and memory without an end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from retouch.testing.pretend.graphs import GraphPool, PretendedGraph, capture
from retouch.testing.pretend.noting import PretendedDevice, waited
from retouch.testing.pretend.streams import Event, Stream

MEMORY = 80 * 10**9  # bytes, of a card that is large enough for what tests do


@contextmanager
def answering(device: PretendedDevice) -> Iterator[None]:
    """Let `torch.cuda` speak of the pretended device as long as this lasts."""
    device.stream = Stream(device.current)

    @contextmanager
    def on(place: Any) -> Iterator[None]:
        before, device.current = device.current, torch.device(place).index or 0
        device.stream = Stream()
        try:
            yield
        finally:
            device.current, device.stream = before, Stream(before)

    @contextmanager
    def streaming(stream: Any) -> Iterator[None]:
        before, device.stream = device.stream, stream
        try:
            yield
        finally:
            device.stream = before

    def set_stream(stream: Any) -> None:
        device.stream = stream

    def empty_cache() -> None:
        if device.underway:
            raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp")

    def taken(*_: Any) -> int:
        return device.memory.taken if device.memory else 0

    of_card = SimpleNamespace(name="a pretended GPU", total_memory=MEMORY, major=9, minor=0, multi_processor_count=132)
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: device.index + 1,
        "current_device": lambda: device.current,
        "device": on,
        "get_device_name": lambda *_: of_card.name,
        "get_device_properties": lambda *_: of_card,
        "get_device_capability": lambda *_: (of_card.major, of_card.minor),
        "is_bf16_supported": lambda *_: True,
        "mem_get_info": lambda *_: (MEMORY, MEMORY),
        **dict.fromkeys(("memory_allocated", "memory_reserved", "max_memory_allocated"), taken),
        **dict.fromkeys(("reset_peak_memory_stats", "set_per_process_memory_fraction"), lambda *_: None),
        "empty_cache": empty_cache,
        "get_rng_state": lambda *_: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda *_: None,
        "manual_seed_all": lambda _: None,
        "synchronize": lambda *_: waited("the host waits for the device"),
        "Stream": Stream,
        "Event": Event,
        "stream": streaming,
        "set_stream": set_stream,
        "current_stream": lambda *_: device.stream,
        "CUDAGraph": PretendedGraph,
        "graph": capture,
        "graph_pool_handle": GraphPool,
        "is_current_stream_capturing": lambda: device.capturing is not None,
    }
    allocator: Any = torch._C
    before = {name: getattr(torch.cuda, name) for name in answers}
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    ended, allocator._cuda_endAllocateToPool = allocator._cuda_endAllocateToPool, lambda _, pool: device.end(pool)
    try:
        yield
    finally:
        allocator._cuda_endAllocateToPool = ended
        for name, answer in before.items():
            setattr(torch.cuda, name, answer)
