"""What a worker does: shards, one after the other, with one model that stays loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from retouch.graph.nodes import Picture
from retouch.lang.diagnostics import Diagnostic
from retouch.plugins import registry
from retouch.run.files.run_journal import RunJournal
from retouch.run.files.shared import SharedFiles
from retouch.run.loaded.model_cache import KeptMachines
from retouch.run.session import execute_part
from retouch.run.shards.messages import Shard, ShardDone, ShardJob, Told, WorkerReady
from retouch.run.shards.wire import NotData, packed, unpacked
from retouch.run.store.keeping import RunStore
from retouch.run.whole import Tell, WholeRun


def work(lines: Iterator[str], say: Callable[[str], None]) -> None:
    """Do what the lines ask for until there are no more.

    say: takes one line.
    """
    job = unpacked(next(lines))
    if not isinstance(job, ShardJob):
        raise TypeError(f"the first line is a {type(job).__name__}, and not a job")
    installed, machines, changed = registry.load(), KeptMachines(), dict[str, list[str]]()

    def tell(event: str, facts: Mapping[str, Any]) -> None:
        try:
            say(packed(Told(event, dict(facts))))
        except NotData:
            # It is for eyes alone, so what cannot travel goes as it reads.
            plain = {name: v if isinstance(v, bool | int | float | str) else str(v) for name, v in facts.items()}
            say(packed(Told(event, plain)))

    heard = installed.live.observing(tell) or tell
    say(packed(WorkerReady()))
    for line in lines:
        shard = unpacked(line)
        assert isinstance(shard, Shard)
        files = SharedFiles(shard.graphs)
        run = WholeRun(shard.graphs, job.request, job.settings, installed.built_in, heard, files, _FarJournal(tell))
        store = RunStore(job.store, job.settings) if job.store else None
        part = execute_part(run, registry=installed, machine=machines, store=store, changed=changed)
        taken = store.taken if store else {}
        said = tuple(part.outcomes), tuple(part.calls), tuple(part.missed), tuple(files.entries()), taken
        say(packed(ShardDone(*said)))


class _FarJournal(RunJournal):
    """The journal of a run whose lines somebody else writes."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(())
        self._say = tell

    def saved(self, path: Path, work: str, sha256: str) -> None:
        self._say("written", {"path": path, "work": work, "sha256": sha256})

    def failed(self, path: Path, item: Picture | None, why: Diagnostic) -> None:
        self._say("unwritten", {"path": path, "item": item, "why": why})
