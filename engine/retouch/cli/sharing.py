"""`retouch run --workers N` and `--ray`: the same run by several processes, of this machine or of a cluster."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retouch.cli.reporting import Refusal

if TYPE_CHECKING:
    from retouch.run.outcome import RunResult
    from retouch.run.shards.sharding import Start
    from retouch.run.store.keeping import RunStore
    from retouch.run.whole import WholeRun


def run_by_workers(args: Namespace, run: WholeRun, store: RunStore | None = None) -> RunResult:
    """Run the graphs of a run by the workers that the command line asks for.  Refusal where there can be none."""
    from retouch.run.shards.sharding import execute_by_workers
    from retouch.run.shards.wire import NotData

    with _workers(args, run.settings.device) as (start, count):
        try:
            return execute_by_workers(run, start, count, store)
        except NotData as why:
            raise Refusal.of("RT926", what=why) from None


@contextmanager
def _workers(args: Namespace, device: str) -> Iterator[tuple[Start, int]]:
    """What starts a worker, and how many there are to be."""
    from retouch.run.shards.processes import ProcessWorker, shares

    if not args.ray:
        yield lambda number: ProcessWorker(shares(number, args.workers, device)), args.workers
        return
    from retouch.run.shards.on_ray import Cluster

    try:
        cluster = Cluster(args.ray, device, args.workers or 1)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as why:
        said = (str(why).strip().splitlines() or [type(why).__name__])[0]
        mend = "start one with 'ray start --head', or write --ray=local"
        raise Refusal.of("RT925", what=f"finds no cluster at '{args.ray}': {said}", mend=mend) from None
    try:
        yield lambda _number: cluster.start({}), args.workers or cluster.most
    finally:
        cluster.close()
