"""The words of a command line: what each may be, and what is said of one that is wrong."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from retouch.near import near_path
from retouch.paths import is_there

MOST_WORKERS = 256
_SHOWN = 40  # characters of a value


def name(text: str) -> str:
    """A name that somebody has typed: an unset variable of a shell is none."""
    if not text:
        raise argparse.ArgumentTypeError("takes a name, and this is empty")
    return text


def place(text: str) -> Path:
    """A file or folder; whether it is there is told where it is used."""
    if "\0" in text:
        raise argparse.ArgumentTypeError("takes a name, and a character of this is zero")
    return Path(name(text))


def target(text: str) -> Path:
    """A file or folder to write: standard output, which others mean by a dash, takes none."""
    if text == "-":
        raise argparse.ArgumentTypeError("takes a file or folder, and '-' is none; one of that name is ./-")
    return place(text)


def there(text: str) -> Path:
    """A file or folder that is there: one that is not would have no effect, in silence."""
    if not is_there(found := place(text)):
        meant = near_path(text, folder=True) or near_path(text)
        raise argparse.ArgumentTypeError(f"there is no '{text}'{meant and f'; {meant}'}")
    return found


def count(text: str) -> int:
    """A number of workers."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_WORKERS):
        raise argparse.ArgumentTypeError(f"takes a number from 1 to {MOST_WORKERS}, and this is '{text}'")
    return int(text)


def spoken(text: str) -> str:
    """Words: UTF-8, also where the locale is one without letters, which hands on bytes."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        shown = text.encode("ascii", "backslashreplace").decode("ascii")[:_SHOWN]
        raise argparse.ArgumentTypeError(f"takes UTF-8 text, and this is not: {shown}") from None


class Once(argparse.Action):
    """An option with a value, which is said once: of two that differ, one would be lost in silence."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        said: dict[str, Any] = namespace.__dict__.setdefault("said_once", {})
        before = said.setdefault(self.dest, values)
        if self.option_strings and before != values:
            one, other = (str(each)[:_SHOWN] for each in (before, values))
            raise argparse.ArgumentError(self, f"is given twice, as '{one}' and as '{other}'; one value holds for all")
        setattr(namespace, self.dest, values)
