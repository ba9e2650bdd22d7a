"""How a run is watched: words and, on a terminal, a bar for people; lines of JSON for programs that ask for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retouch.cli.reporting import as_json, put, tell
from retouch.cli.source import Source
from retouch.cli.streams.last_words import say_as
from retouch.cli.streams.plain import one_line, plain
from retouch.graph.nodes import Graph, Picture
from retouch.graph.plan import plan
from retouch.run.store.told import how_many

if TYPE_CHECKING:
    from pathlib import Path

    from retouch.lang.diagnostics import Diagnostic
    from retouch.run.outcome import Outcome, RunResult

_DENOISER = ("denoise", "gradient")


def most_rows(graphs: Sequence[Graph]) -> int:
    """Denoiser rows that the graphs can cost at most."""
    return int(sum(plan(graph).total[1] for graph in graphs))


def about(outcome: Outcome) -> list[Diagnostic]:
    """What went wrong and what is to be known, with the picture that it is about."""
    path = (str(outcome.item.path),) if outcome.item else ()
    return [replace(found, about=path) for found in (*outcome.failures, *outcome.warnings)]


class Sentences:
    """One line on standard output for each result, notices and errors on the other, and a bar where one can be seen."""

    def __init__(self, source: Source, graphs: Sequence[Graph]) -> None:
        from tqdm import tqdm

        self._source, self._many = source, len({graph.item for graph in graphs}) > 1
        self._bar = tqdm(total=most_rows(graphs), unit=" rows", leave=False, dynamic_ncols=True, disable=None)

    def __enter__(self) -> Sentences:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, event: str, facts: Mapping[str, Any]) -> None:
        """Hear of one event of the run."""
        if event == "call" and facts["kind"] in _DENOISER:
            self._bar.total = max(self._bar.total or 0, self._bar.n + facts["rows"])  # a card may say too little
            self._bar.update(facts["rows"])
        elif event == "learning":
            left = f"{facts['s'] // 60}:{facts['s'] % 60:02d} left"
            said = f"{facts['stage']} {facts['done']}/{facts['of']}, loss {facts['loss']:.4f}, {left}"
            self._bar.set_postfix_str(said)
        elif event == "stage":
            self._bar.set_postfix_str(f"{facts['item']}: {facts['stage']}")
        elif event == "saved":
            self._bar.write(one_line(f"saved {facts['path']}"))
        elif event == "worker":
            again = f"; {facts['again']} of its pictures go to another" if facts["again"] else ""
            print(plain(f"a worker {facts['lost']}{again}"), file=sys.stderr)
        elif event == "failed":
            said = f"failed {facts['item']}".rstrip()
            self._bar.write(one_line(f"{said}: {facts['message']} ({facts['code']})"), file=sys.stderr)
        elif event == "halved":
            held = f"{facts['pictures']} pictures" if facts["pictures"] > 1 else "one picture"
            self._bar.write(f"memory does not hold them all: {held} at once from here on", file=sys.stderr)
        elif event == "waiting":
            print(plain(f"warning[{facts['code']}]: {facts['message']}\n  = help: {facts['help']}"), file=sys.stderr)
        elif event == "warned":
            say_as(facts["plugin"], facts["text"])
        elif event == "stuck":
            where = f"'{facts['function']}' ({facts['place']})"
            print(f"{facts['plugin']}: {where} has not given way for {facts['s']:g} s; Ctrl-C ends it", file=sys.stderr)

    def refused(self, picture: Picture, errors: Sequence[Diagnostic]) -> None:
        """Hear of a picture that is not run; the check has said why."""

    def ended(self, outcome: Outcome) -> None:
        """Hear what became of one picture."""
        self._bar.clear()
        own = outcome.item.path.name if outcome.item else ""
        named = (own, *(path.name for path in outcome.files))
        for notice in outcome.notices:  # of many pictures each says whose it is, unless it begins with a file's name
            whose = f"{own}: " if self._many and not notice.startswith(named) else ""
            print(plain(whose + notice), file=sys.stderr)
        tell(self._source, about(outcome))

    def summary(self, result: RunResult, stored: Mapping[str, int]) -> None:
        """Hear that all is done.  stored: how often each stage's value came from the store."""
        rows = sum(sum(outcome.rows.values()) for outcome in result.outcomes)
        if stored:
            self._bar.write(f"from the store: {how_many(stored)}")
        self._bar.write(f"{rows} rows in {result.denoiser_calls} calls")
        pictures = [outcome for outcome in result.outcomes if outcome.item] or result.outcomes  # without their sheets
        if failed := sum(outcome.failed for outcome in pictures):
            print(f"{failed} of {len(pictures)} pictures failed", file=sys.stderr)


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
        if event == "warned":  # as in one process, where nobody tells of it
            say_as(facts["plugin"], facts["text"])
        elif event != "call":
            put({"event": event, **facts})
        elif facts["kind"] in _DENOISER:
            self._rows += facts["rows"]
            self._most = max(self._most, self._rows)  # a card may say less than its stage asks for
            if time.monotonic() - self._told > 1:
                self._told = time.monotonic()
                put({"event": "progress", "rows": self._rows, "most": self._most})

    def refused(self, picture: Picture, errors: Sequence[Diagnostic]) -> None:
        """Hear of a picture that is not run, and why."""
        self._result(picture, errors)

    def ended(self, outcome: Outcome) -> None:
        """Hear what became of one picture."""
        self._result(outcome.item, about(outcome), outcome.files, outcome.notices)

    def _result(
        self,
        item: Picture | None,
        diagnostics: Sequence[Diagnostic],
        files: Sequence[Path] = (),
        notices: Sequence[str] = (),
    ) -> None:
        put(
            {
                "event": "result",
                "item": str(item.path) if item else None,
                "ok": all(found.severity != "error" for found in diagnostics),
                "files": [str(path) for path in files],
                "notices": list(notices),
                "diagnostics": as_json(self._source, diagnostics),
            }
        )

    def summary(self, result: RunResult, stored: Mapping[str, int]) -> None:
        """Hear that all is done.  stored: how often each stage's value came from the store."""
        rows = sum(sum(outcome.rows.values()) for outcome in result.outcomes)
        put({"event": "done", "rows": rows, "calls": result.denoiser_calls, "store": dict(stored)})
