"""What became of every result of a folder, in every run: lines of JSON in one file of it, which only grows.

A line is written when its result is in its place, and is on the disk before the run goes on.  Several runs may write
at once, and any may be killed: a line that was cut is passed over by whoever reads, and ended by whoever writes next.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeGuard

from retouch.pictures.atomic import Waiting, locked, make_folder, sync_folder

NAME = ".retouch.jsonl"
LONGEST = 1 << 20  # bytes of a line: ours have a few hundred
_FORMS: Mapping[str, Mapping[str, type]] = {  # of each event, what its line has to say, by type
    "run": {"run": str, "at": str},
    "end": {"run": str, "how": str, "saved": int, "failed": int},
    "saved": {"file": str, "work": str, "sha256": str},
    "failed": {"file": str, "code": str, "message": str},
    "refused": {"source": str, "code": str, "message": str},
    "taken": {"source": str},
}
Line = Mapping[str, Any]


@dataclass(slots=True)
class FolderJournal:
    """The journal of a folder, there or not."""

    folder: Path
    misread: int = 0  # lines that are JSON and none of ours, by their types
    unread: str = ""  # why it could not be read at all, where it is there
    _read: int = 0  # bytes that were read, to the end of the last whole line
    _node: tuple[int, int] = (0, 0)  # the file that they were read of
    _lines: list[Line] = field(default_factory=list[Line])
    _saved: dict[str, Line] = field(default_factory=dict[str, Line])
    _by_bytes: dict[tuple[str, str], Line] = field(default_factory=dict[tuple[str, str], Line])

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / NAME

    def add(self, event: str, *, waiting: Waiting | None = None, **facts: Any) -> None:
        """Append a line, and return when it is on the disk.  Raises OSError.

        waiting: is told who holds the journal, where that takes long.
        """
        told = {"event": event, "at": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
        line = json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"  # names as their bytes
        make_folder(self.folder)
        new = not self.path.exists()
        with self._open(
            os.O_RDWR | os.O_APPEND | os.O_CREAT, "a+b"
        ) as file:  # the end is looked for when a line is written, whoever wrote meanwhile
            locked(file, waiting=waiting)
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.folder)

    def lines(self) -> list[Line]:
        """Every whole line, oldest first.  Anyone can write there: what is not of a line's form is passed over."""
        self._catch_up()
        return self._lines

    def saved(self, name: str) -> Line | None:
        """The newest line of a result that was written under this name: its "work" and the "sha256" of its bytes."""
        self._catch_up()
        return self._saved.get(as_told(name))

    def saved_as(self, name: str, sha256: str) -> Line | None:
        """The newest line of a result that was written under this name with these bytes.

        Of two runs that write one file at once, who wrote the last line may not have put the last file.
        """
        self._catch_up()
        return self._by_bytes.get((as_told(name), sha256))

    def refused(self) -> Mapping[str, Line]:
        """By its name, the newest line of each picture that was refused and that no run has taken since."""
        found: dict[str, Line] = {}
        for line in self.lines():
            match line:
                case {"event": "refused", "source": str(name)}:
                    found[name] = line
                case {"event": "taken", "source": str(name)} | {"event": "saved", "file": str(name)}:
                    found.pop(name, None)
                case _:
                    pass
        return found

    def _open(self, flags: int, mode: str) -> IO[bytes]:
        """The file itself: no link, which may lead anywhere, and nothing that never ends.  Raises OSError."""
        own = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(self.path, flags | own, 0o666), mode)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is no regular file", str(self.path))
        return file

    def _catch_up(self) -> None:
        """Read what was added since."""
        self.unread = ""
        try:
            with self._open(os.O_RDONLY, "rb") as file:
                state = os.fstat(file.fileno())
                node = state.st_dev, state.st_ino
                # Another file lies there, or it was cut: nothing that was read of it holds.
                if node != self._node or state.st_size < self._read:
                    self._forget(node)
                file.seek(self._read)
                for length, text in _whole_lines(file):
                    self._read += length
                    if (found := _json(text)) is _CUT:
                        continue
                    if is_line(found):
                        self._lines.append(found)
                        if found["event"] == "saved":
                            self._saved[found["file"]] = self._by_bytes[found["file"], found["sha256"]] = found
                    else:
                        self.misread += 1
        except OSError as why:
            self._forget((0, 0))
            self.unread = "" if isinstance(why, FileNotFoundError) else why.strerror or str(why)

    def _forget(self, node: tuple[int, int]) -> None:
        self._node, self._read, self._lines, self._saved, self._by_bytes = node, 0, [], {}, {}
        self.misread = 0


def _whole_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Length and text of each line that is whole; of one that is too long, the text is empty."""
    before = 0  # bytes of such a line that were read
    while text := file.readline(LONGEST):
        if text.endswith(b"\n"):
            yield before + len(text), b"" if before else text
            before = 0
        elif len(text) < LONGEST:
            return  # cut off, or still being written
        else:
            before += len(text)


_CUT = object()


def _json(text: bytes) -> Any:
    """What a line says; _CUT for one that is no JSON, as a run that was killed may leave."""
    try:
        return json.loads(text.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return _CUT


def as_told(name: str) -> str:
    """A file's name as a line has it, whatever the locale: letters where its bytes are UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def on_disk(name: str) -> str:
    """A name of a line as this process has to call the file, whatever the locale: of the same bytes."""
    try:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # a name that no file has, as anyone may have written it into a journal
        return name


def is_line(found: Any) -> TypeGuard[Line]:
    """Whether this is a line of a journal, its facts of their types; what another version tells besides is its own."""
    if not isinstance(found, dict) or not isinstance(event := found.get("event"), str):
        return False
    form = {"at": str, "run": str, **_FORMS.get(event, {})}
    needed = _FORMS.get(event, {}).keys()
    return all(type(found.get(name)) is kind for name, kind in form.items() if name in needed or name in found)


_journals: dict[Path, FolderJournal] = {}


def journal_of(folder: Path) -> FolderJournal:
    """The journal of a folder, read once in this process and then only what was added."""
    return _journals.setdefault(folder, FolderJournal(folder))
