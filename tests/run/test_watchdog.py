"""Whose code does not give way is told after some time, of which none counts in which the process stood still."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from retouch.run.strangers import watchdog
from retouch.run.strangers.watchdog import Watchdog

PATIENCE = 0.02  # seconds, of a clock that is read at each look


def looked(monkeypatch: pytest.MonkeyPatch, pause: float, jump: float) -> list[float]:
    """What was told, and of how many seconds, in 30 looks; pause: seconds between two; jump: before the tenth."""
    told, enough, looks = list[float](), threading.Event(), count()
    now = 0.0

    def read() -> float:
        nonlocal now
        place = next(looks)
        now += pause + jump * (place == 10)
        if place == 30:
            enough.set()
        return now

    def tell(event: str, facts: Mapping[str, Any]) -> None:
        assert event == "stuck"
        assert facts["plugin"] == "slow"
        told.append(facts["s"])

    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=read))
    with Watchdog(PATIENCE, lambda: 0, lambda module: "slow", tell):
        enough.wait()
    return told


def test_it_is_told_again_at_twice_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked(monkeypatch, PATIENCE / 4, 0)[:3] == [PATIENCE, 2 * PATIENCE, 4 * PATIENCE]


def test_time_in_which_the_process_stood_still_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after Ctrl-Z: whoever was at work then has had no time to give way."""
    assert not [told for told in looked(monkeypatch, PATIENCE / 100, 3600) if told > PATIENCE]
