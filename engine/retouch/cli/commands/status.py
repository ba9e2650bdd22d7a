"""`retouch status`: what became of the results of a folder, in all runs so far, as its journal tells."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retouch.cli import DONE, WRONG_RECIPE
from retouch.cli.reporting import put, refuse
from retouch.cli.streams.plain import one_line, plain
from retouch.lang.codes import CODES
from retouch.near import near_path
from retouch.pictures.journal import NAME, Line, journal_of, on_disk
from retouch.pictures.standing import standing

MOST_SHOWN = 20  # failures, and results that are not as they were, each


@dataclass(slots=True)
class Status:
    """What a journal comes to.

    there, changed, gone: names of results by what stands in their places now.
    failed: by the name of the result, or of the picture that was refused, the newest line, where nothing came since.
    runs: of each its first line, and its last if it has ended.
    misread: lines of the journal that are none of ours.
    unread: why it cannot be read at all.
    """

    there: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    failed: dict[str, Line] = field(default_factory=dict[str, Line])
    runs: dict[str, list[Line]] = field(default_factory=dict[str, list[Line]])
    misread: int = 0
    unread: str = ""

    @classmethod
    def of(cls, folder: Path) -> Status:
        """Read the journal, and look at what it tells of."""
        found, newest = cls(), dict[str, Line]()
        journal = journal_of(folder)
        for line in journal.lines():
            match line.get("event"):
                case "saved" | "failed":
                    # Anyone may have written into a journal: what it names stays in its folder.
                    if Path(name := line["file"]).name == name != "..":
                        newest[name] = line
                case "run":
                    found.runs[line["run"]] = [line]
                case "end" if line["run"] in found.runs:
                    found.runs[line["run"]].append(line)
                case _:
                    pass
        for name, line in newest.items():
            if line["event"] == "saved":
                kind = standing(folder / on_disk(name)).kind
                (found.there if kind == "own" else found.gone if kind == "nothing" else found.changed).append(name)
            else:
                found.failed[name] = line
        found.failed |= journal.refused()
        found.misread, found.unread = journal.misread, journal.unread
        return found

    def as_data(self) -> Mapping[str, Any]:
        """As JSON has it."""
        facts = ("file", "source", "code", "message")
        failed = [{name: _text(line, name) for name in facts} for line in self.failed.values()]
        runs = [{"run": run, "at": _text(lines[0], "at"), "end": _end(lines)} for run, lines in self.runs.items()]
        places = {"there": self.there, "changed": self.changed, "gone": self.gone}
        return {**places, "failed": failed, "runs": runs, "misread": self.misread}


def main(args: Namespace) -> int:
    """Print what a folder's journal tells."""
    folder = args.folder
    if not (folder / NAME).is_file():
        what = f"'{folder}' holds no journal: no run has written results there"
        mend = _below(folder) if folder.is_dir() else near_path(str(folder), folder=True)
        return refuse(args, WRONG_RECIPE, what, mend=mend)
    found = Status.of(folder.resolve())
    if found.unread:
        return refuse(args, WRONG_RECIPE, f"the journal '{folder / NAME}' cannot be read: {found.unread}")
    if args.json:
        put({"folder": str(folder), **found.as_data()})
    else:
        print("\n".join(map(one_line, _lines(found))))
        if found.misread:
            row, lines = CODES["RT461"], "1 line" if found.misread == 1 else f"{found.misread:,} lines"
            print(
                plain(f"warning[RT461]: {row.message.format(count=lines, path=(folder / NAME))}\n  = help: {row.help}"),
                file=sys.stderr,
            )
    return DONE


def _lines(found: Status) -> Iterator[str]:
    told = ["1 result is there" if len(found.there) == 1 else f"{len(found.there):,} results are there"]
    told += [f"{len(names):,} {what}" for names, what in _not_there(found) if names]
    yield ", ".join(told)
    for run, lines in found.runs.items():
        yield f"run {run} of {_text(lines[0], 'at')}: {_end(lines) or 'it was killed, or goes on'}"
    for name, line in [*found.failed.items()][:MOST_SHOWN]:
        yield f"failed: {name}: {_text(line, 'message')} ({_text(line, 'code')})"
    for names, what in _not_there(found)[1:]:
        yield from (f"{what}: {name}" for name in names[:MOST_SHOWN])
    if any(len(names) > MOST_SHOWN for names, _ in _not_there(found)):
        yield "--json tells all of them"


def _not_there(found: Status) -> list[tuple[Sequence[str], str]]:
    return [([*found.failed], "failed"), (found.changed, "changed since"), (found.gone, "gone")]


def _end(lines: Sequence[Line]) -> str:
    """How a run ended; empty if it did not."""
    last = lines[-1]
    if last.get("event") != "end":
        return ""
    return f"{_text(last, 'how')}, {_text(last, 'saved')} saved, {_text(last, 'failed')} failed"


def _text(line: Line, name: str) -> str:
    return str(line.get(name, ""))


def _below(folder: Path) -> str:
    """Where a journal is that may be meant: recipes write into folders of their own below the one that is named."""
    found = sorted(each.parent for each in folder.glob(f"*/{NAME}"))
    return f"results are in {', '.join(map(str, found[:3]))}" if found else ""
