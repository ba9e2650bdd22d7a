"""Seconds to spend: what would take more than is left shrinks, or is left out."""

from __future__ import annotations

import time
from collections.abc import Callable


class LeftOut(Exception):
    """A measurement that there was no time for."""


class Budget:
    """So many seconds from now on, by the wall clock."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock, self._began = seconds, clock, clock()

    @property
    def left(self) -> float:
        """Seconds that remain; never below 0."""
        return max(0.0, self.seconds - (self._clock() - self._began))

    def part(self, share: float) -> Budget:
        """A budget of its own for something: this share of all, or what is left if that is less."""
        return Budget(min(self.left, share * self.seconds), self._clock)

    def need(self, seconds: float) -> None:
        """Raise LeftOut where fewer seconds than these are left."""
        if self.left < seconds:
            raise LeftOut(f"takes about {seconds:.0f} s, and {self.left:.0f} s are left of what was given")
