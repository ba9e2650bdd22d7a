"""Paths of a recipe: it reads and writes only below its folder and what the command line names."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.addresses import file_instead, is_address
from retouch.check.reading.environment import Environment, Written
from retouch.check.reading.foreign_fields import foreign_field, meant_field
from retouch.graph.limits import MOST_FILES
from retouch.graph.nodes import Picture
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.source import LIMIT_DEPTH
from retouch.near import near, near_path
from retouch.paths import at_home, is_file, is_folder, is_there, resolved

if TYPE_CHECKING:
    from retouch.check.reading.given import Given

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_PATTERN = re.compile(r"[*?]")


class Files:
    """What paths stand for, and whether the recipe may use them."""

    def __init__(self, world: Environment, report: Report) -> None:
        self._world = world
        self._report = report

    def below(self, folder: Path) -> Files:
        """Return the same for a library, whose paths start at its own folder."""
        return Files(replace(self._world, folder=folder), self._report)

    def is_pattern(self, text: str) -> bool:
        """Return whether a path stands for every file that it matches."""
        return bool(_PATTERN.search(text))

    def matching(self, given: Written | Given, pattern: str) -> list[str]:
        """Return the files that a pattern matches, as numbers in their names count."""
        if _ADDRESS.match(pattern):
            self._add("RT413", given, mend=file_instead(pattern))
            return []
        # Folders without wildcards are looked up, the rest is matched
        parts = at_home(pattern).parts
        plain = next((i for i, part in enumerate(parts) if _PATTERN.search(part)), len(parts))
        anchor, rest = self._world.folder.joinpath(*parts[:plain]), "/".join(parts[plain:])
        # Before anything is listed, since what is missing there would be told.
        if ".." in Path(rest).parts or not self._world.was_given(resolved(anchor)):
            self._add("RT403", given, path=pattern)
            return []
        matches = (path for path in anchor.glob(rest) if is_file(path) and self._world.was_given(resolved(path)))
        found = sorted(matches, key=_natural) if rest else []
        if not found and self._world.partly:
            return [pattern]
        if not found:
            suffixes = sorted({path.suffix for path in anchor.glob("*") if is_file(path)})
            there = f"{anchor} holds files ending in {', '.join(filter(None, suffixes))}" if any(suffixes) else ""
            self._add("RT401", given, path=pattern, mend=there or f"there are no files in {anchor}")
        if len(found) > MOST_FILES:
            what, mend = f"files that match '{pattern}'", "name fewer of them"
            self._add("RT404", given, what=what, count=len(found), limit=MOST_FILES, mend=mend)
            return []
        return [str(path) for path in found]

    def pictures_of(self, given: Written | Given, text: str) -> list[str]:
        """Return the pictures of a folder, as numbers in their names count; of what is none, the path itself."""
        from retouch.pictures.formats import of_file

        folder = self._world.folder / at_home(text)
        if _ADDRESS.match(text) or not self._world.was_given(resolved(folder)) or not is_folder(folder):
            return [text]  # which is refused as any path
        found = sorted((path for path in folder.iterdir() if of_file(path) and is_file(path)), key=_natural)
        if not found:
            self._add("RT401", given, path=text, mend=f"there are no pictures in {resolved(folder)}")
        return [str(path) for path in found]

    def to_read(
        self, given: Written | Given, text: str, *, sure: bool = True, fields: Collection[str] = ()
    ) -> Path | None:
        """The file that a path names, if it is there and the recipe may read it.

        sure: whether it has to be there; what is one picture's among many may be missing for that one alone.
        fields: what may stand in brackets in such a path, and was filled in.
        """
        path = self._allowed(text, given, self._world.folder)
        if path is None or is_file(path) or not sure or self._world.partly:
            return path
        if is_address(text):  # one without a scheme, which could have been a folder
            self._add("RT413", given, mend=file_instead(text))
        elif not self.is_foreign(given, text, fields):
            self._add("RT402", given, path=text, mend=self._instead(text, path))
        return None

    def _instead(self, text: str, path: Path) -> str:
        """What to do where a path leads to no file."""
        if is_folder(path):
            return f"{path} is a folder: name a file in it"
        if is_there(path):
            return f"{path} is a pipe or a device: write what it gives into a file"
        return near_path(text, self._world.folder, may_look=self._world.was_given) or f"it would be {path}"

    def allowed(self, given: Written | Given, text: str) -> Path | None:
        """The place that a path names, whatever is there, if the recipe may read it."""
        return self._allowed(text, given, self._world.folder)

    def used(self, written: s.Text, chain: tuple[Path, ...]) -> Path | None:
        """Return the file of a `use` line; one that leads back to itself is refused."""
        given = Written(written, written.span, "recipe")
        path = self._allowed(written.value, given, self._world.folder)
        if path is None:
            return None
        if path in chain:
            names = " -> ".join(each.name for each in (*chain[chain.index(path) :], path))
            self._report.add("RT218", written.span, path=written.value, chain=names)
            return None
        if not is_file(path):
            self._report.add("RT217", written.span, path=written.value, mend=self._instead(written.value, path))
            return None
        if len(chain) >= LIMIT_DEPTH:
            what, mend = "libraries that use one another", "use fewer files, or put some into one"
            self._add("RT404", given, what=what, count=len(chain) + 1, limit=LIMIT_DEPTH, mend=mend)
            return None
        return path

    def filled(self, given: Written | Given, text: str, fields: Mapping[str, object]) -> str | None:
        """A path with what its fields stand for; None, and a diagnostic, if one is not known here."""
        if "${" in text and self.is_foreign(given, text, fields):
            return None
        for name in fields_of(text):
            if name not in fields:
                self._add("RT406", given, name=name, mend=_meant(name, fields) or _known(fields))
                return None
        return _FIELD.sub(lambda found: found[0][0] if found[1] is None else str(fields[found[1]]), text)

    def to_write(self, given: Written | Given, text: str, fields: Mapping[str, object]) -> Path | None:
        """The file that a result goes to, its fields filled in."""
        if self.is_foreign(given, text, fields, written=True) or (filled := self.filled(given, text, fields)) is None:
            return None
        if is_address(filled):
            self._add("RT413", given, mend="write a file, and bring it there yourself")
            return None
        start = self._world.output if self._world.output and self._world.to_folder else self._world.folder
        return self._allowed(filled, given, start)

    def is_foreign(self, given: Written | Given, text: str, fields: Collection[str], *, written: bool = False) -> bool:
        """Report a path with what is a field in other programs and letters here; whether it has any."""
        found = foreign_field(text, fields, written=written)
        if found:
            what, meant = found
            there = f"fields are {', '.join(f'{{{name}}}' for name in fields)}" if fields else "write the path itself"
            if not (written or fields) and what[0] == "%":  # of files that are there a pattern finds all
                meant = text.replace(what, "*")
            mend = f"write {json.dumps(meant, ensure_ascii=False)}" if meant else there
            self._add("RT247", given, what=what, mend=mend)
        return found is not None

    def _allowed(self, text: str, given: Written | Given, start: Path) -> Path | None:
        if _ADDRESS.match(text):
            self._add("RT413", given, mend=file_instead(text))
            return None
        path = resolved(start / at_home(text))
        if self._world.was_given(path) or (start == self._world.output and path.is_relative_to(resolved(start))):
            return path
        self._add("RT403", given, path=text)
        return None

    def check_picture(self, picture: Picture, given: Written | Given) -> None:
        """Refuse a picture that cannot be read, before any weights load."""
        if picture.known and is_file(picture.path):
            self.check_readable(picture.path, given, picture.told)

    def check_readable(self, path: Path, given: Written | Given, told: str = "") -> None:
        """Refuse a file that is no picture.  told: what to call it, if not by its name."""
        from retouch.pictures import Unreadable

        try:
            self._world.inspect(path)
        except Unreadable as err:
            self._add("RT504", given, path=told or path.name, what=err.about, mend=err.mend)

    def _add(self, code: str, given: Written | Given, **facts: Any) -> None:
        self._report.add(code, given.span, source=given.source, **facts)


def fields_of(text: str) -> list[str]:
    """Return the names in the brackets of a path."""
    return [found[1] for found in _FIELD.finditer(text) if found[1] is not None]


def _meant(name: str, fields: Collection[str]) -> str:
    """A question about the field that was meant: of `rank.keep`, as `--set` says it, the option."""
    option = name.rpartition(".")[2].strip()
    other = meant_field(name, fields)
    return f"did you mean '{other}'?" if other else near(option, fields) or near(name, fields)


def _known(fields: Collection[str]) -> str:
    return f"fields: {', '.join(fields)}" if fields else "nothing is known here that a field could stand for"


def _natural(path: Path) -> list[list[tuple[int, int, str]]]:
    """Numbers by their value, so that 10 comes after 9; names before what they begin."""
    runs = (re.split(r"(\d+)", part.casefold()) for part in (*path.parts[:-1], path.stem, path.suffix))
    return [[(0, int(run), "") if run.isdigit() else (1, 0, run) for run in each if run] for each in runs]
