"""Files that a stamp tells by name and digest, looked for in the folders that a command may read."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from retouch.cli.reporting import Refusal
from retouch.cli.stamped import Stamp
from retouch.graph.inputs import digest as digest_of
from retouch.near import near_path

MOST_ENTRIES = 20_000  # that are looked through below all folders
_OPEN = re.compile(r"[*?]+|\{\w+\}")  # what a path leaves open: patterns and fields
_NUMBERED = re.compile(r"-\d+$")  # of a name that another file of the recipe has too


def find(image: Path, inputs: Mapping[str, str], folders: Sequence[Path]) -> dict[str, Path]:
    """Where each input lies, by its name in the stamp.  Refusal of one that is not there, or is not as it was."""
    wanted = {name: _named(name) for name in inputs}
    called = {each for names in wanted.values() for each in names}
    there: dict[str, dict[Path, None]] = {each: {} for each in called}
    for name, path in _files(folders, called) if called else ():
        there[name][path] = None
    found: dict[str, Path] = {}
    for name, names in wanted.items():
        # Two inputs were two files, be they copies of one another: results are told apart by their picture's place.
        paths = sorted((path for each in names for path in there[each]), key=lambda path: path in found.values())
        found[name] = _one_of(image, name, inputs[name], paths, folders)
    return found


def source_name(stamp: Stamp) -> str:
    """The source's name among the inputs; older stamps have its path there."""
    return stamp.text("source_path") or stamp.text("source")


def with_files(stamp: Stamp, found: Mapping[str, Path], fresh: Path) -> tuple[str, dict[str, str], dict[Path, str]]:
    """The recipe, the settings and the libraries, by where they are to lie; each file that they name where it lies now.

    Every other place is taken out.  fresh: the folder for libraries.
    """
    from retouch.run.files.private import bare, is_place, rewritten, rewritten_value

    here, source = {bare(name): path for name, path in found.items()}, bare(source_name(stamp))
    others = sorted(here.items(), key=lambda item: item[0] == source)  # the source last

    def result(text: str) -> str:
        return bare(text) if is_place(text, Path(os.devnull)) else text

    def change(text: str) -> str:
        name = result(text)
        if name in here:
            return f"{here[name]}/" if name.endswith("/") else str(here[name])
        if _OPEN.search(name):
            pattern = re.compile(".+".join(map(re.escape, _OPEN.split(name))))
            beside = next((path for own, path in others if pattern.fullmatch(own)), None)
            return str(beside.with_name(name)) if beside else name
        return name

    def used(text: str) -> str:
        return text if text in stamp.libraries else change(text)  # older stamps have their digests alone

    settings = {name: rewritten_value(text, change) for name, text in stamp.settings.items()}
    libraries = {fresh / name: rewritten(text, change, result, used) for name, text in stamp.libraries.items()}
    return rewritten(stamp.text("recipe"), change, result, used), settings, libraries


def checked(image: Path, name: str, path: Path, digest: str) -> Path:
    """The file that somebody names for an input, if it is the same."""
    kind = "folder" if name.endswith("/") else "file"
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        meant = near_path(str(path), folder=kind == "folder") or f"name the right '{name}'"
        raise Refusal.of("RT509", path=image, what=f"there is no {kind} '{path}'", mend=meant)
    if digest_of(path) != digest:
        raise _changed(image, path, digest)
    return path.resolve()


def _one_of(image: Path, name: str, digest: str, paths: Sequence[Path], folders: Sequence[Path]) -> Path:
    if not digest:
        what, mend = f"it does not tell the digest of '{name}'", "run its recipe with 'retouch run'"
        raise Refusal.of("RT509", path=image, what=what, mend=mend)
    for path in paths:
        if digest_of(path) == digest:
            return path
    if paths:
        raise _changed(image, paths[0], digest)
    where = ", ".join(map(str, folders))
    mend = f"allow its folder with --allow DIR, or name it after '{image}' if it is the source"
    raise Refusal.of("RT509", path=image, what=f"'{name}' is not below {where}", mend=mend)


def _changed(image: Path, path: Path, digest: str) -> Refusal:
    what = f"'{path}' has changed since: its sha256 was {digest[:16]}…"
    return Refusal.of("RT509", path=image, what=what, mend="put the old file back")


def _named(name: str) -> tuple[str, ...]:
    """What the file may be called; older stamps tell a path, of which only the name counts."""
    folder = "/" if name.endswith("/") else ""
    own = re.split(r"[\\/]", name.rstrip("/"))[-1]
    plain = _NUMBERED.sub("", Path(own).stem) + Path(own).suffix
    return tuple(dict.fromkeys((own + folder, plain + folder)))


def _files(folders: Sequence[Path], names: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Files of these names, and folders, whose names end in a slash, each with where it really lies.

    A link that leads out of the folders is none.
    """
    for path in _entries(folders):
        file, folder = path.name in names and path.is_file(), f"{path.name}/" in names and path.is_dir()
        if file or folder:
            real = path.resolve()
            if any(real.is_relative_to(root) for root in folders):
                yield f"{path.name}/" if folder else path.name, real


def _entries(folders: Sequence[Path]) -> Iterator[Path]:
    left = MOST_ENTRIES
    for root in folders:
        yield from map(Path, sorted(os.scandir(root), key=lambda entry: entry.name) if root.is_dir() else ())
    for root in folders:
        for folder, inner, names in os.walk(root):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            left -= len(names) + len(inner)
            yield from (Path(folder, name) for name in (*names, *inner))
            if left < 0:
                return
