"""`retouch json`: a recipe as JSON and back, without loss."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from retouch.cli import DONE, WRONG_RECIPE
from retouch.cli.loading import read
from retouch.cli.reporting import as_json, put, refuse, tell
from retouch.lang.jsonform import from_json, to_json
from retouch.lang.parse import parse
from retouch.lang.source import LIMIT_LENGTH

LIMIT_JSON = 20 * LIMIT_LENGTH  # the same recipe takes more room


def main(args: Namespace) -> int:
    """Print the other form of what is given."""
    source = read(args.path, LIMIT_JSON)
    if source.text.lstrip().startswith(b"{"):
        try:
            sys.stdout.write(from_json(json.loads(source.text)))
        except ValueError as err:
            return refuse(args, WRONG_RECIPE, f"{source.name}: {err}")
        return DONE
    recipe, found = parse(source.text)
    if found:
        if args.json:
            put({"recipe": source.name, "ok": False, "diagnostics": as_json(source, found)})
        else:
            tell(source, found)
        return WRONG_RECIPE
    print(json.dumps(to_json(recipe, source.text.decode("utf-8")), ensure_ascii=False, indent=1))
    return DONE
