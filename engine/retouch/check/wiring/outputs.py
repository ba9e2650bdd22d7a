"""Files that results go to: each its own, none that would be missed."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retouch.check.reading.environment import Environment
from retouch.check.reading.variants import PICTURES
from retouch.graph.nodes import Graph
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span

LONGEST_NAME = 255  # bytes, of the usual file systems


@dataclass(frozen=True, slots=True)
class Writer:
    """One file that one stage writes in one variant.

    work: what is written there; equal work is one result, however many variants come to it.
    fields: what tells this result from others of its stage, as a path may name it.
    shared: whether many results go into it, as into a contact sheet.
    """

    path: str
    span: Span
    work: str
    fields: Mapping[str, object]
    shared: bool = False


def check_results(graphs: Iterable[Graph], writers: Iterable[Writer], world: Environment, report: Report) -> None:
    """Report results that share a file, cannot be written, or would overwrite what retouch did not make."""
    sources = {node.options.get("path") for graph in graphs for node in graph.nodes if node.card.takes("Pictures")}
    by_path: defaultdict[str, dict[str, Writer]] = defaultdict(dict)
    for writer in writers:
        by_path[writer.path].setdefault(writer.work, writer)
    for path, works in by_path.items():
        same, file = list(works.values()), Path(path)
        span = same[-1].span
        if len(same) > 1 and not (all(each.shared for each in same) and len({each.span for each in same}) == 1):
            report.add("RT405", span, count=len(same), mend=_apart(file, same))
        elif path in sources:
            report.add("RT407", span, path=file.name)
        elif what := unwritable(file):
            report.add("RT427", span, path=file.name, what=what)
        elif file.is_file() and not world.force and not world.made_here(file):
            report.add("RT415", span, path=file.name)


def unwritable(file: Path) -> str:
    """Why no file can be put at a place, as far as the system tells beforehand; empty if one can."""
    if len(os.fsencode(file.name)) > LONGEST_NAME:
        return f"its name is longer than {LONGEST_NAME} bytes"
    try:
        if file.is_dir():
            return "there is a folder of that name"
        there = next(folder for folder in file.parents if folder.exists())
        if not there.is_dir():
            return f"'{there.name}' is a file, not a folder"
        return "" if os.access(there, os.W_OK | os.X_OK) else f"nothing may be written in '{there}'"
    except OSError as why:
        return why.strerror or str(why)


def _apart(file: Path, writers: list[Writer]) -> str:
    """How to give each result a file: by what differs between those of one stage."""
    if len({writer.span for writer in writers}) > 1:
        return "give each its own file, or a folder with -o"
    fields = [name for name in writers[0].fields if len({str(each.fields.get(name)) for each in writers}) > 1]
    names = ["name"] if "name" in fields else ["index"] if "index" in fields else []
    names += [name for name in fields if name not in ("name", "index", PICTURES)]
    missing = "".join(f"-{{{name}}}" for name in names)
    return f'write "{file.stem}{missing}{file.suffix}"' if missing else "give each its own file, or a folder with -o"
