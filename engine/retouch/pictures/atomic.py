"""Replace a file in one step: whoever looks sees the old one or the new one, whole.

What is being written is locked as long as somebody writes it, so that what a dead run left is told from what a living
one is about to finish, in another process or on another machine that shares the folder.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Literal

from retouch.pictures.holders import Holder, holder
from retouch.pictures.names import begun

try:
    import fcntl
except ImportError:  # Windows, where a file that somebody has open is not removed anyway
    fcntl = None

PATIENCE, LONGEST_PAUSE = 5.0, 0.1  # seconds
Waiting = Callable[[Holder | None], None]
_PART = re.compile(r"\..*\.[0-9a-f]{8}\.part")
_NO_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF)  # where folders are not synced
_unfinished: set[Path] = set()
_made: set[Path] = set()  # folders for what is being written, which were not there before


def remove_unfinished() -> None:
    """Remove what is being written, where the process ends without coming back to it."""
    for part in [*_unfinished]:
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
    remove_empty([*_made])


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """The folder of a file, made where it is not there; if anything is raised it goes again, unless it is in use."""
    made = make_folder(path.parent)
    _made.update(made)
    try:
        yield
    except BaseException:  # Ctrl-C too
        remove_empty(made)
        raise
    finally:
        _made.difference_update(made)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders in which there is nothing, inner ones first."""
    for folder in sorted(folders, key=lambda each: -len(each.parts)):
        with suppress(OSError):  # somebody has put something there
            folder.rmdir()


@contextmanager
def taken_back(folder: Path) -> Iterator[None]:
    """A folder that has its place already, and vanishes if anything is raised."""
    _unfinished.add(folder)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        _unfinished.discard(folder)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place at the end, or vanishes if anything is raised.

    When it has taken its place, it stays there whatever happens to the machine: file and folder are synced.
    """
    with folder_for(path):
        part, file = _begun(path)
        try:
            with file:
                yield file
                sync(file)
                if fcntl:  # while it is locked: nobody takes it for what a dead run left
                    part.replace(path)
            if not fcntl:
                part.replace(path)
        except BaseException:  # Ctrl-C too
            part.unlink(missing_ok=True)
            raise
        finally:
            _unfinished.discard(part)
    sync_folder(path.parent)


def sync(file: BinaryIO) -> None:
    """Let what was written into a file outlive the machine's sudden end.  Raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those that lead there, each synced into the one above; return those that were not there."""
    if folder.is_dir():
        return []
    made = make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
    return [*made, folder]


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlive the machine's sudden end, where its file system can.  Raises OSError."""
    if os.name == "nt":
        return
    try:
        found = os.open(folder, os.O_RDONLY)
    except OSError as why:
        if why.errno in _NO_FOLDERS:  # it may be written in and not be read
            return
        raise
    try:
        os.fsync(found)
    except OSError as why:
        if why.errno not in _NO_FOLDERS:
            raise
    finally:
        os.close(found)


def locked(file: IO[bytes], *, wait: bool = True, waiting: Waiting | None = None) -> bool:
    """Lock an open file until it is closed; False where another has it, or nothing is locked here.

    waiting: is told once who has it, where that takes longer than any holder of ours has to do with it.
    """
    begin, pause = time.monotonic(), 0.001
    while (got := _lock(file)) == "held" and wait:
        if waiting and time.monotonic() - begin > PATIENCE:
            waiting(holder(file))
            waiting = None
        time.sleep(pause)  # a lock that is waited for in the system could not tell who has it
        pause = min(2 * pause, LONGEST_PAUSE)
    return got == "mine"


def _lock(file: IO[bytes]) -> Literal["mine", "held", "none"]:
    """Try once.  "none": nothing is locked here."""
    if not fcntl:
        return "none"
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "held"
    except OSError:  # the file system has no locks
        return "none"
    return "mine"


def remove_dead_parts(folder: Path) -> int:
    """Remove what runs that are gone left half written in a folder; how many files that was."""
    removed = 0
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if not _PART.fullmatch(entry.name):
                continue
            if entry.is_file(follow_symlinks=False):
                removed += _removed(Path(entry.path))
            elif fcntl and entry.is_dir(follow_symlinks=False):
                removed += _removed_folder(Path(entry.path))
    return removed


def _begun(path: Path) -> tuple[Path, BinaryIO]:
    """A new locked file beside `path`, and its place."""
    while True:
        part = path.with_name(f".{begun(path.name)}.{secrets.token_hex(4)}.part")
        _unfinished.add(part)
        try:
            file = part.open("xb")
        except FileNotFoundError:
            _unfinished.discard(part)
            if not make_folder(path.parent):
                raise
            continue  # who had made the folder has just removed it, since nothing came of it
        except BaseException:
            _unfinished.discard(part)
            raise
        if (got := _lock(file)) == "none" or (got == "mine" and _is_at(part, file)):
            return part, file
        file.close()  # somebody has removed it before it was locked, or is about to
        _unfinished.discard(part)


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _removed(part: Path) -> bool:
    try:
        if not fcntl:
            part.unlink()  # fails while somebody has it open
            return True
        flags = os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(part, flags), "rb") as file:
            mine = stat.S_ISREG(os.fstat(file.fileno()).st_mode) and locked(file, wait=False) and _is_at(part, file)
            if mine:
                part.unlink()
            return mine
    except OSError:
        return False


def _removed_folder(part: Path) -> bool:
    """Remove a folder that no living process fills."""
    assert fcntl
    try:
        held = os.open(part, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(part)
        return True
    except OSError:
        return False
    finally:
        os.close(held)


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill, for the caller to give a name; it vanishes if it is still there at the end."""
    part = path.with_name(f".{begun(path.name)}.{secrets.token_hex(4)}.part")
    _unfinished.add(part)
    held: int | None = None
    try:
        with folder_for(path):
            part.mkdir()
            if fcntl:
                held = os.open(part, os.O_RDONLY)
                with suppress(OSError):  # the file system may have no locks
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield part
            finally:
                shutil.rmtree(part, ignore_errors=True)
    finally:
        if held is not None:
            os.close(held)
        _unfinished.discard(part)
