"""Telling what is wrong: to people as text with carets, to programs as JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from retouch.cli import WrongCommand
from retouch.cli.streams.plain import plain
from retouch.lang.codes import CODES
from retouch.lang.encodings import readable
from retouch.near import near_path
from retouch.paths import is_file, is_folder, is_there, resolved
from retouch.pictures.atomic import replacing
from retouch.plugins.signatures import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from retouch.cli.source import Source
    from retouch.lang.diagnostics import Diagnostic


def tell(source: Source, found: Iterable[Diagnostic]) -> None:
    """Write diagnostics to standard error, each with the line it is about."""
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    for item in found:
        text = readable(source.text) if item.source is None else item.source
        name = source.name if item.source is None else "command line"
        print(plain(item.render(text, name, _spelt, width)), end="\n\n", file=sys.stderr)


def _spelt(text: str) -> str:
    """A text as standard error will have it: what it has no bytes for is spelt out."""
    known = getattr(sys.stderr, "encoding", None) or "utf-8"
    return plain(text).encode(known, "backslashreplace").decode(known)


def as_json(source: Source, found: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Diagnostics as data."""
    text = readable(source.text)
    return [item.as_json(text if item.source is None else item.source) for item in found]


def fault_text(fault: Fault) -> str:
    """Describe a plugin's fault in one line, with its place."""
    row = CODES[fault.code]
    message = row.message.format_map(fault.facts)
    mend = f"; {fault.facts['mend']}" if row.help == "{mend}" else ""
    return f"{fault.code}: {message}{mend}{f' ({fault.place})' if fault.place else ''}"


def warn(faults: Iterable[Fault]) -> None:
    """Say which plugins are broken: the rest works on without them."""
    for fault in faults:
        print(f"warning[{fault_text(fault).replace(':', ']:', 1)}", file=sys.stderr)


def put(data: object) -> None:
    """Write one line of JSON."""
    print(plain(json.dumps(data, ensure_ascii=False, default=str)), flush=True)


def keep(path: Path, text: str) -> None:
    """Write an answer to a file instead, whole or not at all.  Raises WrongCommand."""
    try:
        if is_there(path) and not is_file(path):  # a device or a pipe
            path.write_text(text, encoding="utf-8", newline="\n")
        else:
            check_place(path)  # `replacing` would make folders
            place = resolved(path)  # a link stays one
            with replacing(place) as file:
                file.write(text.encode())
                if is_there(place):
                    shutil.copymode(place, file.name)
    except (OSError, ValueError) as err:
        raise WrongCommand(f"'{path}' cannot be written: {getattr(err, 'strerror', None) or err}") from err


def check_place(path: Path) -> None:
    """Look whether an answer can be kept there, before the work that it takes.  Raises WrongCommand."""
    if is_folder(path):
        raise WrongCommand(f"'{path}' cannot be written: it is a folder")
    if not is_folder(path.parent):
        meant = near_path(str(path.parent), folder=True)
        raise WrongCommand(f"'{path}' cannot be written: there is no folder '{path.parent}'{meant and f'; {meant}'}")
    if not os.access(path.parent, os.W_OK):
        raise WrongCommand(f"'{path}' cannot be written: nothing may be written in '{path.parent}'")


def refuse(args: Namespace, exit_code: int, why: str, code: str = "", mend: str = "") -> int:
    """Say in one sentence why a command ends with this exit code."""
    if args.json:
        put({"ok": False, "error": why} | ({"code": code, "help": mend} if code else {}))
    else:
        head = f"error[{code}]" if code else f"retouch {args.command}"
        print(plain(f"{head}: {why}"), file=sys.stderr)
        if mend:
            print(plain(f"  = help: {mend}"), file=sys.stderr)
    return exit_code


def sized(count: int) -> str:
    """Bytes in the unit that people read."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return f"{count} bytes"


class Refusal(Exception):
    """Why a command does nothing, in one sentence; with a code of the table, and what to do."""

    def __init__(self, why: str, code: str = "", mend: str = "") -> None:
        super().__init__(why)
        self.code, self.mend = code, mend

    @classmethod
    def of(cls, code: str, **facts: object) -> Refusal:
        """The sentence of a code, with these facts."""
        row = CODES[code]
        return cls(row.message.format_map(facts), code, row.help.format_map(facts))
