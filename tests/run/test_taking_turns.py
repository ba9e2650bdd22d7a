"""Strangers are alone while they work; what the engine writes aside waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from retouch.run.strangers.taking_turns import TakingTurns


def test_nobody_begins_while_one_is_alone_and_all_do_when_it_ends() -> None:
    turns, began = TakingTurns(), threading.Event()

    def write() -> None:
        with turns.beside():
            began.set()

    with turns.alone():
        with turns.alone():  # a run within a stage
            assert turns.mine
        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert not began.wait(0.05)
    for thread in threads:
        thread.join(600)
    assert began.is_set()
    assert not turns.mine


def test_who_would_be_alone_waits_for_those_at_work() -> None:
    turns, order = TakingTurns(), list[str]()
    at_work, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with turns.beside():
            at_work.set()
            go_on.wait(600)
            order.append("written")

    def stranger() -> None:
        with turns.alone():
            order.append("alone")

    threads = [threading.Thread(target=each) for each in (write, stranger)]
    threads[0].start()
    assert at_work.wait(600)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(600)
    assert order == ["written", "alone"]


def test_a_run_in_a_thread_that_a_stranger_waits_for_does_not_wait_for_the_stranger() -> None:
    turns, order = TakingTurns(), list[str]()

    def run() -> None:
        assert turns.mine
        with turns.alone():
            order.append("within")

    with turns.alone():
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(600)
        assert order == ["within"]
    assert not turns.mine
    with turns.alone(), turns.alone():
        assert turns.mine


def test_whoever_stops_waiting_to_be_alone_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C does: the results that are being written then have to end, or the command would not."""
    turns, began = TakingTurns(), threading.Event()

    def stopped(_: Callable[[], bool]) -> None:
        raise KeyboardInterrupt

    def write() -> None:
        with turns.beside():
            began.set()

    with monkeypatch.context() as patched:
        patched.setattr(turns._changed, "wait_for", stopped)
        with pytest.raises(KeyboardInterrupt), turns.alone():
            pass
    threading.Thread(target=write, daemon=True).start()
    assert began.wait(600)
