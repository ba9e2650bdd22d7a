"""`retouch fmt`: the one layout."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from retouch.cli import DONE, WRONG_RECIPE
from retouch.cli.loading import read
from retouch.cli.reporting import as_json, keep, put, tell
from retouch.lang.format import format_recipe
from retouch.lang.parse import parse


def main(args: Namespace) -> int:
    """Rewrite each file that is not laid out; one that cannot be read is left alone."""
    wrong = False
    for path in args.paths:
        source = read(path)
        recipe, found = parse(source.text)
        if found:
            wrong = True
            if args.json:
                put({"recipe": source.name, "ok": False, "diagnostics": as_json(source, found)})
            else:
                tell(source, found)
            continue
        text = source.text.decode("utf-8")
        laid = format_recipe(recipe, text)
        changes = laid != text
        wrong |= args.check and changes
        if args.json:
            put({"recipe": source.name, "ok": True, "changes": changes, "text": laid})
        elif path == "-" and not args.check:
            sys.stdout.write(laid)
        elif changes:
            print(f"{path}: {'would change' if args.check else 'laid out'}")
        if changes and path != "-" and not args.check:
            keep(Path(path), laid)
    return WRONG_RECIPE if wrong else DONE
