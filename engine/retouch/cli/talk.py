"""Standard output and error that whoever listens may leave: the work goes on, only the talking ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from retouch.cli.plain import plain


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
        """Write a text; characters that the stream has no bytes for are spelt out."""
        said = plain(text) if self._plain else text
        try:
            self._try(lambda: self._stream.write(said))
        except UnicodeEncodeError as err:
            known = said.encode(err.encoding, "backslashreplace").decode(err.encoding)
            self._try(lambda: self._stream.write(known))
        return len(text)

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
            self._let_go()

    def _let_go(self) -> None:
        """What the stream still holds goes nowhere when it is flushed at last."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def finish(self) -> None:
        """Hand over what is not at the end of its line."""


@contextmanager
def talking(answers: Callable[[TextIO, Talk, bool], Talk]) -> Iterator[Talk]:
    """Talk on standard output and error; gives the first.  Either may be missing from the start.

    answers: makes standard output of a stream, of standard error, and of whether control characters are spelt out.
    """
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        terminal = sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()
        err = Talk(sys.stderr or nowhere)
        out = answers(sys.stdout or nowhere, err, terminal)
        sys.stdout, sys.stderr = out, err  # pyright: ignore[reportAttributeAccessIssue]: all that is asked of a stream
        try:
            yield out
        finally:
            out.finish()
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before
