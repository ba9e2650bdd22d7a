"""Share out the edits among processes of one thread each, and remember what each comes to as soon as it is there.

One thread, in however many processes: small networks run best so, and a figure is the same on a machine of any size.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, get_all_start_methods, get_context
from multiprocessing.context import BaseContext

import torch

from retouch_bench.drawn import Drawn
from retouch_bench.journal import Journal, Record
from retouch_bench.pairs import Entry
from retouch_bench.running import Chunk, Measured, Measurer
from retouch_bench.work import Surroundings

AT_ONCE = 8  # edits in one run: what a kill can lose, and enough that calls of eight rows are full to the end
MOST_WORKERS = 8  # each holds all intermediate values of its edits, one to two GiB


def default_workers(device: str) -> int:
    """One for each core, within what memory is likely to hold; one alone for an accelerator."""
    return min(os.cpu_count() or 1, MOST_WORKERS) if device == "cpu" else 1


@dataclass
class Bench:
    """Measures entries on edits, and remembers what was measured."""

    surroundings: Surroundings
    journal: Journal
    device: str = "cpu"
    say: Callable[[str], None] = print
    workers: int = 1

    def measure(self, edits: Sequence[Drawn], entries: Sequence[Entry]) -> list[Record]:
        """The records of all entries on all edits, in that order; those that are there are not made again."""
        if not entries:
            return []
        groups = [edits[first : first + AT_ONCE] for first in range(0, len(edits), AT_ONCE)]
        chunks = [Chunk(some, entries, self.journal.of([drawn.edit.name for drawn in some])) for some in groups]
        found: dict[int, list[Record]] = {}
        began, done = time.monotonic(), 0
        with self._measured(chunks) as measured:
            for place, each in measured:
                self.journal.add(each.new)
                found[place] = each.records
                done += len(chunks[place].edits)
                self.say(f"{done} of {len(edits)} edits, {time.monotonic() - began:.0f} s")
        return [record for place in sorted(found) for record in found[place]]

    @contextmanager
    def _measured(self, chunks: Sequence[Chunk]) -> Iterator[Iterator[tuple[int, Measured]]]:
        """The chunks' numbers with what they came to, as they come."""
        prepare = partial(Measurer, self.surroundings, self.device)
        if self.workers == 1:
            with _one_thread():
                yield enumerate(map(prepare(), chunks))
            return
        pool = ProcessPoolExecutor(self.workers, _processes(), _begin, (prepare,))
        try:
            futures = {pool.submit(_measure, chunk): place for place, chunk in enumerate(chunks)}
            yield ((futures[future], future.result()) for future in as_completed(futures))
        except BaseException:
            for child in active_children():  # what they were at is done again the next time
                child.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _processes() -> BaseContext:
    """Where there is fork, all come from one process that has imported torch and not used it: imports are paid once."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([_begin.__module__, "diffusers.models.autoencoders.autoencoder_kl"])
    return context


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


_measurer: Measurer | None = None  # of a worker process


def _begin(prepare: Callable[[], Measurer]) -> None:
    global _measurer  # noqa: PLW0603 (a process is told once what it is for)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    torch.set_num_threads(1)
    _measurer = prepare()


def _measure(chunk: Chunk) -> Measured:
    assert _measurer is not None
    return _measurer(chunk)
