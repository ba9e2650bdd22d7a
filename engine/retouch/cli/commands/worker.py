"""What `retouch run --workers` starts: a process that reads lines and answers in lines.

Whoever starts it holds the other end of its standard input; when that closes, it ends at once, whatever its stages do.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator

from retouch.cli.streams.last_words import last_words
from retouch.cli.streams.speakers import speaking
from retouch.cli.streams.talk import Talk
from retouch.pictures.atomic import remove_unfinished
from retouch.plugins.interrupts import listening

ALIVE = 5.0  # seconds between two signs of life
_end = os._exit  # as it is before a run stands in for it


def main() -> None:
    """Work until nobody asks for more."""
    with speaking() as out, last_words((voice := _Voice(out)).warned), listening():
        asked = queue.SimpleQueue[str]()
        threading.Thread(target=_hear, args=(asked,), name="retouch-asked", daemon=True).start()
        threading.Thread(target=voice.live, name="retouch-alive", daemon=True).start()
        try:
            from retouch.run.shards.working import work

            work(_asked(asked), voice.say)
        except Exception as why:  # told in words, since nobody reads a traceback of a process that others started
            from retouch.run.shards.messages import Stopped
            from retouch.run.shards.wire import packed

            voice.say(packed(Stopped(f"could not work: {type(why).__name__}: {why}")))


def _hear(asked: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(line)
    remove_unfinished()
    _end(0)


def _asked(lines: queue.SimpleQueue[str]) -> Iterator[str]:
    while True:
        yield lines.get()


class _Voice:
    """Lines on standard output, of several threads, each whole."""

    def __init__(self, out: Talk) -> None:
        self._out, self._turn = out, threading.Lock()

    def say(self, line: str) -> None:
        with self._turn:
            self._out.write(line + "\n")
            self._out.flush()

    def warned(self, plugin: str, text: str) -> None:
        """Say what a plugin warns of; of several workers it is told once."""
        from retouch.run.shards.messages import Told
        from retouch.run.shards.wire import packed

        self.say(packed(Told("warned", {"plugin": plugin, "text": text})))

    def live(self) -> None:
        """Say from time to time that the process is there."""
        alive = '["c", "retouch.run.shards.messages:Alive"]'
        wait = threading.Event()
        while not wait.wait(ALIVE):
            self.say(alive)
