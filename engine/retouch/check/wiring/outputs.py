"""Files that results go to: each its own, none that would be missed."""

from __future__ import annotations

import errno
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from retouch.check.reading.environment import Environment
from retouch.check.reading.files import fields_of
from retouch.check.reading.variants import PICTURES
from retouch.graph.nodes import FromEngine, Graph, Node, Picture
from retouch.graph.ports import FOLDER, READERS
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.paths import is_link, is_there
from retouch.pictures import formats
from retouch.pictures.names import LONGEST_NAME

_MISSED = {"foreign": "RT415", "edited": "RT440"}  # what stands there and would be missed
LONGEST_PATH = 4095  # bytes, of Linux; others take less and say so


@dataclass(frozen=True, slots=True)
class Writer:
    """One file that one stage writes in one variant.

    work: what is written there; equal work is one result, however many variants come to it.
    fields: what tells this result from others of its stage, as a path may name it.
    shared: whether many results go into it, as into a contact sheet.
    item: the picture that the result is of.
    text: its path as the recipe writes it; None if the recipe does not.
    by_output: whether the file is the one that -o names.
    """

    path: str
    span: Span
    work: str
    fields: Mapping[str, object]
    shared: bool = False
    item: Picture | None = None
    text: str | None = None
    by_output: bool = False


def check_results(graphs: Iterable[Graph], writers: Iterable[Writer], world: Environment, report: Report) -> None:
    """Report results that share a file, cannot be written, or would overwrite what retouch did not make."""
    sources = {path for graph in graphs for node in graph.nodes for path in _read(node)}
    by_path: defaultdict[str, dict[str, Writer]] = defaultdict(dict)
    writers = list(writers)
    if writers and world.output and not world.to_folder and not any(writer.by_output for writer in writers):
        report.add("RT459", writers[-1].span, path=world.output.name)
    for writer in writers:
        by_path[writer.path].setdefault(writer.work, writer)
    told = set[tuple[Span, str]]()
    for path, works in by_path.items():
        same, file = list(works.values()), Path(path)
        span = same[-1].span
        if len(same) > 1 and not (all(each.shared for each in same) and len({each.span for each in same}) == 1):
            if (span, mend := _apart(same, world)) not in told:  # of several such files the first stands for all
                told.add((span, mend))
                report.add("RT405", span, count=len(same), path=file.name, mend=mend)
            continue
        # What is wrong with a file that several pictures share is wrong for each of them.
        item = same[-1].item if len({each.item for each in same}) == 1 else None
        with report.looking_at(str(item.path) if item and item.known else None):
            if path in sources:
                report.add("RT407", span, path=file.name)
            elif world.signed is not None and file.suffix.lower() not in world.signed:
                report.add("RT453", span, path=file.name, endings=formats.listed(world.signed))
            elif what := unwritable(file):
                report.add("RT427", span, path=file.name, what=what)
            elif not world.force and (code := _MISSED.get(world.standing(file).kind)):
                report.add(code, span, path=file.name)


def _read(node: Node) -> Iterator[object]:
    """Files that a stage opens: the one that it names, or those that the folder which it names holds."""
    if node.card.takes(*READERS):
        yield node.options.get("path")
    for _, edge in node.edges():
        if isinstance(edge, FromEngine) and edge.type == FOLDER:
            folder = Path(str(edge.settings["folder"]))
            yield from (str(folder / name) for name in edge.settings["held"])


def unwritable(file: Path) -> str:
    """Why no file can be put at a place, as far as the system tells beforehand; empty if one can."""
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in file.parts):
        return f"a name in it is longer than {LONGEST_NAME} bytes"
    if len(os.fsencode(file)) > LONGEST_PATH:
        return f"it is longer than {LONGEST_PATH} bytes"
    try:
        return _refused_by(next(filter(_stands, file.parents)), file)
    except OSError as why:
        return why.strerror or str(why)


def _stands(place: Path) -> bool:
    """Whether something is at a place, be it a link that leads in a circle."""
    return is_there(place) or is_link(place)


def _refused_by(folder: Path, file: Path) -> str:
    """Why the nearest folder that is there takes no such file."""
    for place in (folder, file):
        if is_link(place) and not is_there(place):
            return f"'{place.name}' is a link that leads nowhere"
    if file.is_dir():
        return "there is a folder of that name"
    if not folder.is_dir():
        return f"'{folder.name}' is {'a file' if folder.is_file() else 'a device or a pipe'}, not a folder"
    if is_there(file) and not file.is_file():
        return "what has that name is a device or a pipe"
    if not _takes_files(folder):
        return f"nothing may be written in '{folder}'"
    room = os.statvfs(folder) if hasattr(os, "statvfs") else None  # Windows does not tell
    return f"there is no room left in '{folder}'" if room and room.f_blocks > 0 and room.f_bavail == 0 else ""


def _takes_files(folder: Path) -> bool:
    """Whether a file can be made in a folder: by making one without a name, which nobody sees, where systems can."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    if nameless := getattr(os, "O_TMPFILE", 0):
        try:
            os.close(os.open(folder, nameless | os.O_WRONLY))
        except OSError as why:
            if why.errno in (errno.EROFS, errno.EPERM, errno.EACCES):
                return False
        else:
            return True
    # The administrator may write anywhere, says access(); not so in /proc, whose folders nobody may write in.
    return bool(folder.stat().st_mode & 0o222)


def _apart(writers: list[Writer], world: Environment) -> str:
    """How to give each result a file: what each of their stages is to write, or what is to follow -o."""
    by_stage: defaultdict[Span, list[Writer]] = defaultdict(list)
    for writer in writers:
        by_stage[writer.span].append(writer)
    first = writers[0]
    if first.by_output and world.output and len(by_stage) == 1:
        return f"name a file for each: -o {json.dumps(_with(str(world.output), _missing(str(world.output), writers)))}"
    paths = {span: _own_path(of_stage) for span, of_stage in by_stage.items()}
    changed: list[str] = []
    taken: list[str] = []
    for span, path in paths.items():
        if path is None:
            continue  # the engine tells those apart by itself
        number = f"-{taken.count(path) + 1}" if path in taken else ""
        taken.append(path)
        if first.by_output and not number and path == by_stage[span][0].text:
            continue
        changed.append(json.dumps(_with(path, number), ensure_ascii=False))
    new = " and ".join(changed)
    if first.by_output and world.output:
        folder = f"name a folder: -o {json.dumps(str(world.output.with_suffix('')))}"
        return f"{folder}, and write {new} in the recipe" if new else folder
    return f"write {new}" if first.text is not None else f"end it with | save {new}"


def _own_path(writers: list[Writer]) -> str | None:
    """What one stage is to write, so that its results have files of their own; None if the engine names them."""
    first = writers[0]
    if first.text is not None:
        return _with(first.text, _missing(first.text, writers))
    if first.by_output:
        return None
    axes = [name for name in first.fields if name not in ("name", "index", "turn", "seed", PICTURES)]
    axes += _pattern(writers, ("name", "index", *axes))
    return "-".join(f"{{{name}}}" for name in ("name", "index", *axes)) + ".png"


def _missing(text: str, writers: list[Writer]) -> str:
    """The fields that tell the results of a stage apart and that its path lacks."""
    fields, there = writers[0].fields, fields_of(text)
    differ = [name for name in fields if len({str(each.fields.get(name)) for each in writers}) > 1]
    names = ["name"] if "name" in differ else ["index"] if "index" in differ else []
    names += [name for name in differ if name not in ("name", "index", PICTURES)]
    names += _pattern(writers, (*names, *there))
    return "".join(f"-{{{name}}}" for name in names if name not in there)


def _pattern(writers: list[Writer], names: Iterable[str]) -> list[str]:
    """The field of a pattern of files, such as masks, where the others leave two results alike."""
    apart = {tuple(str(each.fields.get(name)) for name in names) for each in writers}
    return [PICTURES] if len(apart) < len(writers) and PICTURES in writers[0].fields else []


def _with(path: str, addition: str) -> str:
    """The path with something more in its name, before the ending."""
    file = PurePath(path)
    return str(file.with_name(f"{file.stem}{addition}{file.suffix}"))
