"""What a worker does: shards, one after the other, with one model that stays loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from retouch.plugins import registry
from retouch.plugins.discovery import leaving_out
from retouch.run.files.shared import SharedFiles
from retouch.run.model_cache import KeptMachines
from retouch.run.session import execute_part
from retouch.run.shards.messages import Done, Job, Ready, Shard, Told
from retouch.run.shards.wire import NotData, packed, unpacked


def work(lines: Iterator[str], say: Callable[[str], None]) -> None:
    """Do what the lines ask for until there are no more.

    say: takes one line.
    """
    job = unpacked(next(lines))
    if not isinstance(job, Job):
        raise TypeError(f"the first line is a {type(job).__name__}, and not a job")
    with leaving_out(job.without):
        installed, machines = registry.load(), KeptMachines()

        def tell(event: str, facts: Mapping[str, Any]) -> None:
            try:
                say(packed(Told(event, dict(facts))))
            except NotData:
                say(packed(Told(event, {name: _plain(value) for name, value in facts.items()})))

        heard = installed.live.observing(tell) or tell
        say(packed(Ready()))
        for line in lines:
            shard = unpacked(line)
            assert isinstance(shard, Shard)
            part = execute_part(
                shard.graphs,
                registry=installed,
                request=job.request,
                settings=job.settings,
                machine=machines,
                tell=heard,
                keep=False,
                shared=SharedFiles(shard.graphs),
            )
            done = Done(tuple(part.outcomes), tuple(part.calls), tuple(part.missed), tuple(part.shared.entries()))
            say(packed(done))


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)
