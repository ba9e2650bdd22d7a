"""What a run tells the journals of the folders that it writes to: when it began, each result and failure, its end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from retouch.graph.ports import WRITERS
from retouch.lang.codes import CODES
from retouch.pictures.atomic import make_folder, remove_dead_parts, remove_empty
from retouch.pictures.journal import as_told, journal_of
from retouch.version import __version__

if TYPE_CHECKING:
    from retouch.graph.nodes import Graph, Picture
    from retouch.lang.diagnostics import Diagnostic
    from retouch.pictures.holders import Holder

Tell = Callable[[str, Mapping[str, Any]], None]


class RunJournal:
    """The lines of one run, in the journal of each folder that has results of it.

    apart: a folder below which nothing is told, since it goes with the run.
    tell: hears of the event "waiting", where somebody holds a journal for long.
    """

    def __init__(self, graphs: Iterable[Graph], apart: Path | None = None, tell: Tell | None = None) -> None:
        every = [*graphs]
        paths = {path for graph in every for path in results_of(graph)}
        self._sources = {as_told(graph.item.path.name) for graph in every if graph.item}
        self._results: dict[Path, int] = {}
        for path in sorted(paths):
            if apart is None or not path.is_relative_to(apart):
                self._results[path.parent] = self._results.get(path.parent, 0) + 1
        self._hears = tell
        self._run = secrets.token_hex(4)
        self._saved = dict.fromkeys(self._results, 0)
        self._written: dict[Path, str] = {}  # results that were told, and the digest of their bytes
        self._failed = dict.fromkeys(self._results, 0)
        self._lock = Lock()  # results are written in several threads
        self.lost: OSError | None = None  # why the journals could not be written, where they could not

    @contextmanager
    def going(self) -> Iterator[RunJournal]:
        """Surround the run: what dead ones left half written is removed, and it is told how this one ends."""
        made = list[Path]()
        for folder, count in self._results.items():
            with suppress(OSError):  # which is told where the journal is written
                made += make_folder(folder)
            remove_dead_parts(folder)
            self._tell(folder, "run", retouch=__version__, results=count)
            for source in self._sources & journal_of(folder).refused().keys():
                self._tell(folder, "taken", source=source)
        how = "stopped"
        try:
            yield self
            how = "done"
        finally:
            for folder in self._results:
                self._tell(folder, "end", how=how, saved=self._saved[folder], failed=self._failed[folder])
            if how == "stopped":
                self._forget(made)

    def tidy(self) -> None:
        """Remove what a worker that has ended left half written; what others write is locked."""
        for folder in self._results:
            remove_dead_parts(folder)

    def _forget(self, made: Sequence[Path]) -> None:
        """Remove folders that this run made and put nothing into, as long as another still tells of the run."""
        came = {folder: self._saved[folder] + self._failed[folder] for folder in self._results}
        empty = [folder for folder in self._results if folder in made and not came[folder]]
        if empty and len(empty) == len(self._results):
            empty.remove(max(empty, key=lambda each: self._results[each]))
        for folder in empty:
            journal = journal_of(folder)
            with suppress(OSError):
                if all(line.get("run") == self._run for line in journal.lines()):
                    journal.path.unlink()
        remove_empty(made)

    def saved(self, path: Path, work: str, sha256: str) -> None:
        """Tell of a result that is in its place.  work: of what it was made; empty if that is not known.

        One that is written twice, as after the end of the worker that wrote it, is told twice where its bytes changed.
        """
        with self._lock:
            if path.parent in self._results and self._written.get(path) != sha256:
                self._saved[path.parent] += path not in self._written
                self._written[path] = sha256
                self._tell(path.parent, "saved", file=path.name, work=work, sha256=sha256)

    def failed(self, path: Path, item: Picture | None, why: Diagnostic) -> None:
        """Tell of a result that did not come."""
        with self._lock:
            if path.parent in self._results:
                self._failed[path.parent] += 1
                self._tell(path.parent, "failed", file=path.name, **told_of(item, why))

    def refused(self, picture: Picture, why: Sequence[Diagnostic]) -> None:
        """Tell of a picture that was not run at all: the folder that has most of the results hears of it."""
        if self._results and why:
            folder = max(self._results, key=lambda each: self._results[each])
            self._failed[folder] += 1
            self._tell(folder, "refused", **told_of(picture, why[0]))

    def _tell(self, folder: Path, event: str, **facts: Any) -> None:
        """Without a journal a result is a result all the same."""
        try:
            journal = journal_of(folder)
            journal.add(event, waiting=lambda who: self._waiting(journal.path, who), run=self._run, **facts)
        except OSError as why:
            self.lost = self.lost or why

    def _waiting(self, path: Path, who: Holder | None) -> None:
        if self._hears:
            self._hears("waiting", held(path, who))


def held(path: Path, who: Holder | None) -> Mapping[str, str]:
    """What to say of a file that somebody holds: the code, the sentence, and what to do."""
    mend = f"see who has it open, as by 'lsof {path}', and let that go on or end it"
    if who:
        go_on = f"let it go on: kill -CONT {who.pid}; or" if who.is_stopped else "wait for it, or"
        mend = f"{go_on} end it: kill -KILL {who.pid}"
    row = CODES["RT462"]
    by = str(who) if who else "another process, or one of another machine"
    return {"code": "RT462", "message": row.message.format(path=path, who=by), "help": row.help.format(mend=mend)}


def results_of(graph: Graph) -> Iterator[Path]:
    """The files that a graph's results go to."""
    for id_ in graph.results:
        node = graph.node(id_)
        if node.card.takes(*WRITERS) and (path := node.options.get("path")):
            yield Path(path)


def told_of(item: Picture | None, why: Diagnostic) -> Mapping[str, str]:
    """A failure: the source by its own name, the code, and the sentence."""
    return {"source": item.path.name if item else "", "code": why.code, "message": why.message}
