"""Telling what is wrong: to people as text with carets, to programs as JSON."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from retouch.lang.codes import CODES
from retouch.plugins.signatures import Fault

if TYPE_CHECKING:
    from retouch.cli.source import Source
    from retouch.lang.diagnostics import Diagnostic


def tell(source: Source, found: Iterable[Diagnostic]) -> None:
    """Write diagnostics to standard error, each with the line it is about."""
    for item in found:
        text = source.text.decode("utf-8", "replace") if item.source is None else item.source
        name = source.name if item.source is None else "command line"
        print(item.render(text, name), end="\n\n", file=sys.stderr)


def as_json(source: Source, found: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Diagnostics as data."""
    text = source.text.decode("utf-8", "replace")
    return [item.as_json(text if item.source is None else item.source) for item in found]


def fault_text(fault: Fault) -> str:
    """Describe a plugin's fault in one line, with its place."""
    message = CODES[fault.code].message.format_map(fault.facts)
    return f"{fault.code}: {message}{f' ({fault.place})' if fault.place else ''}"


def warn(faults: Iterable[Fault]) -> None:
    """Say which plugins are broken: the rest works on without them."""
    for fault in faults:
        print(f"warning[{fault_text(fault).replace(':', ']:', 1)}", file=sys.stderr)


def put(data: object) -> None:
    """Write one line of JSON."""
    print(json.dumps(data, ensure_ascii=False, default=str), flush=True)


def refuse(args: Namespace, code: int, why: str) -> int:
    """Say in one sentence why a command ends with this exit code."""
    if args.json:
        put({"ok": False, "error": why})
    else:
        print(f"retouch {args.command}: {why}", file=sys.stderr)
    return code
