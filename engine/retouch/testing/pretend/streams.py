"""Streams of the pretended device, in whose order all is done, and marks in them."""

from __future__ import annotations

from retouch.testing.pretend.noting import devices, waited


class Stream:
    """As `torch.cuda.Stream`; whatever it is given has been done when the call returns."""

    def __init__(self, index: int | None = None, **_how: object) -> None:
        """index: of its GPU; the current one's by default."""
        self.index = devices[-1].current if index is None else index

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
