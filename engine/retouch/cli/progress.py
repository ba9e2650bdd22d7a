"""How a run is watched: a bar on a terminal, lines of JSON for programs and logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retouch.cli.plain import plain
from retouch.cli.reporting import as_json, put, tell
from retouch.cli.source import Source
from retouch.graph.nodes import Graph
from retouch.graph.plan import plan

if TYPE_CHECKING:
    from retouch.run.session import Outcome, Result

_DENOISER = ("denoise", "gradient")


def most_rows(graphs: Sequence[Graph]) -> int:
    """Denoiser rows that the graphs can cost at most."""
    return int(sum(plan(graph).total[1] for graph in graphs))


class Screen:
    """A bar of denoiser rows, and one line for each result."""

    def __init__(self, source: Source, graphs: Sequence[Graph]) -> None:
        from tqdm import tqdm

        self._source = source
        self._bar = tqdm(total=most_rows(graphs), unit=" rows", leave=False, dynamic_ncols=True)

    @staticmethod
    def fits() -> bool:
        """Whether someone is looking."""
        return sys.stdout.isatty() and sys.stderr.isatty()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, event: str, facts: Mapping[str, Any]) -> None:
        """Hear of one event of the run."""
        if event == "call" and facts["kind"] in _DENOISER:
            self._bar.update(facts["rows"])
        elif event == "stage":
            self._bar.set_postfix_str(f"{facts['item']}: {facts['stage']}")
        elif event == "saved":
            self._bar.write(f"saved {facts['path']}")

    def ended(self, outcome: Outcome) -> None:
        """Hear what became of one picture."""
        self._bar.clear()
        for notice in outcome.notices:
            print(plain(notice), file=sys.stderr)
        tell(self._source, [*outcome.failures, *outcome.warnings])

    def summary(self, result: Result) -> None:
        """Hear that all is done."""
        rows = sum(sum(outcome.rows.values()) for outcome in result.outcomes)
        self._bar.write(f"{rows} rows in {result.denoiser_calls} calls")


class Lines:
    """Every event that matters as one line of JSON; progress at most once a second."""

    def __init__(self, source: Source, graphs: Sequence[Graph]) -> None:
        self._source = source
        self._rows, self._most = 0, most_rows(graphs)
        self._told = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, event: str, facts: Mapping[str, Any]) -> None:
        """Hear of one event of the run."""
        if event != "call":
            put({"event": event, **facts})
        elif facts["kind"] in _DENOISER:
            self._rows += facts["rows"]
            if time.monotonic() - self._told > 1:
                self._told = time.monotonic()
                put({"event": "progress", "rows": self._rows, "most": self._most})

    def ended(self, outcome: Outcome) -> None:
        """Hear what became of one picture."""
        put(
            {
                "event": "result",
                "item": str(outcome.item.path) if outcome.item else None,
                "ok": not outcome.failed,
                "files": [str(path) for path in outcome.files],
                "notices": outcome.notices,
                "diagnostics": as_json(self._source, [*outcome.failures, *outcome.warnings]),
            }
        )

    def summary(self, result: Result) -> None:
        """Hear that all is done."""
        rows = sum(sum(outcome.rows.values()) for outcome in result.outcomes)
        put({"event": "done", "rows": rows, "calls": result.denoiser_calls})
