"""Strangers are alone while they work; what the engine writes aside waits."""

from __future__ import annotations

import threading

from retouch.run.taking_turns import TakingTurns


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
        thread.join(10)
    assert began.is_set()
    assert not turns.mine


def test_who_would_be_alone_waits_for_those_at_work() -> None:
    turns, order = TakingTurns(), list[str]()
    at_work, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with turns.beside():
            at_work.set()
            go_on.wait(10)
            order.append("written")

    def stranger() -> None:
        with turns.alone():
            order.append("alone")

    threads = [threading.Thread(target=each) for each in (write, stranger)]
    threads[0].start()
    assert at_work.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["written", "alone"]
