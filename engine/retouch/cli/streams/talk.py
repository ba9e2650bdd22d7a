"""Standard output and error that whoever listens may leave: the work goes on, only the talking ends."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO, TypeVar

from retouch.cli.streams.plain import plain


class Talk:
    """A stream that is written to as long as it takes anything.

    plain: whether control characters are spelt out; files and pipes get what was meant for them.
    lost: why it takes no more; a BrokenPipeError where the reader has seen enough.
    """

    def __init__(self, stream: TextIO, *, plain: bool = False) -> None:
        self._stream = stream
        self._plain = plain
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        """Write a text."""
        self.put(text, sys._getframe().f_back)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.put(line, sys._getframe().f_back)

    def put(self, text: str, frame: FrameType | None) -> None:
        """Write a text that is said in a frame; characters that the stream has no bytes for are spelt out."""
        said = plain(text) if self._plain else text
        try:
            self._try(lambda: self._stream.write(said))
        except UnicodeEncodeError as err:
            encoding = self._stream.encoding or err.encoding  # of code pages the error says "charmap", whichever it is
            known = said.encode(encoding, "backslashreplace").decode(encoding)
            self._try(lambda: self._stream.write(known))

    def flush(self) -> None:
        """Hand over what was written."""
        self._try(self._stream.flush)

    def _try(self, act: Any) -> None:
        if self.lost is not None:
            return
        try:
            act()
        except UnicodeEncodeError:
            raise
        except (OSError, ValueError) as err:  # ValueError: someone has closed it
            self.lost = err
            # What the stream still holds goes nowhere when it is flushed at last
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def close(self) -> None:
        """Stay open: whoever closes the stream of the process has not made it."""
        self.flush()

    @property
    def buffer(self) -> TalkBytes:
        """The same for those who write bytes."""
        return TalkBytes(self)

    def detach(self) -> TalkBytes:
        """Stay whole: whoever wraps the bytes anew writes here as well."""
        return TalkBytes(self)

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self._stream.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def finish(self) -> None:
        """Hand over what is not at the end of its line."""


class TalkBytes(io.BufferedIOBase):
    """A talk for those who write bytes: they are read as its text, and it stays open."""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk

    def writable(self) -> bool:
        """It can be written to, and nothing else."""
        return True

    def write(self, data: Any, /) -> int:
        """Write bytes."""
        said = bytes(data)
        self._talk.put(said.decode("utf-8", "backslashreplace"), sys._getframe().f_back)
        return len(said)

    def flush(self) -> None:
        """Hand over what was written."""
        self._talk.flush()

    def fileno(self) -> int:
        """The talk's descriptor."""
        return self._talk.fileno()


class _Whole(io.TextIOBase):
    """A stream of an object that can be written to, which may be all that it can: of a cell, a window, a log."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner

    def write(self, text: str, /) -> int:
        """Write a text."""
        self._inner.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what was written, where it is held."""
        if flush := getattr(self._inner, "flush", None):
            flush()

    def isatty(self) -> bool:
        """Whether a terminal stands behind it."""
        return bool(getattr(self._inner, "isatty", bool)())

    def fileno(self) -> int:
        """The descriptor, if it has one."""
        return self._inner.fileno() if hasattr(self._inner, "fileno") else super().fileno()


TalkT = TypeVar("TalkT", bound=Talk)


@contextmanager
def talking(answers: Callable[[TextIO, TalkT, bool], Talk], remarks: Callable[[TextIO], TalkT]) -> Iterator[Talk]:
    """Talk on standard output and error; gives the first.  Either may be missing from the start.

    answers: makes standard output of a stream, of standard error, and of whether control characters are spelt out.
    remarks: makes standard error of a stream.
    """
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere, _ours(*map(_whole, before)) as (own_out, own_err):
        terminal = own_out is not None and not own_out.closed and own_out.isatty()
        err = remarks(own_err or nowhere)
        out = answers(own_out or nowhere, err, terminal)
        sys.stdout, sys.stderr = out, err  # pyright: ignore[reportAttributeAccessIssue]: all that is asked of a stream
        try:
            yield out
        finally:
            out.finish()
            out.flush()
            err.finish()
            err.flush()
            sys.stdout, sys.stderr = before


def _whole(stream: Any) -> Any:
    return stream if stream is None or isinstance(stream, io.TextIOBase) else _Whole(stream)


@contextmanager
def _ours(out: TextIO | None, err: TextIO | None) -> Iterator[tuple[TextIO | None, TextIO | None]]:
    """The same streams on descriptors of our own, where they are those of the process.

    What is written to descriptor 1 meanwhile, by C code, by a child or past the streams, goes to standard error.
    """
    if _descriptor(out) != 1 or _descriptor(err) != 2:  # in a test or a notebook, or one of them is closed
        yield out, err
        return
    assert out
    assert err
    for each in (out, err):
        with suppress(OSError, ValueError):
            each.flush()
    with _duplicate(out) as own_out, _duplicate(err) as own_err:
        os.dup2(2, 1)
        try:
            yield own_out, own_err
        finally:
            os.dup2(own_err.fileno(), 2)  # somebody may have closed it
            os.dup2(own_out.fileno(), 1)


def silent_answers() -> None:
    """From now on let standard output lead to standard error."""
    if _descriptor(sys.stdout) == 1 and _descriptor(sys.stderr) == 2:
        os.dup2(2, 1)


def lead_nowhere() -> None:
    """Let standard descriptors that are closed lead nowhere.

    What is opened next would get their numbers, and be taken for a standard stream.
    """
    while (found := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(found, True)
    os.close(found)


def _duplicate(stream: TextIO) -> TextIO:
    """A stream like this one on a copy of its descriptor, which no child inherits."""
    at_once = stream.isatty() or any(getattr(stream, how, False) for how in ("line_buffering", "write_through"))
    return open(os.dup(stream.fileno()), "w", 1 if at_once else -1, stream.encoding, stream.errors)


def _descriptor(stream: TextIO | None) -> int:
    try:
        return stream.fileno() if stream is not None else -1
    except (OSError, ValueError):  # it is closed, or has none
        return -1
