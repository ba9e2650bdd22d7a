"""`retouch explain`: what a code means, an example, and its mend."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from retouch.cli import DONE, WrongCommand
from retouch.cli.reporting import put
from retouch.lang.codes import CODES
from retouch.lang.explain import explain


def main(args: Namespace) -> int:
    """Print the page of a code."""
    code = args.code.upper()
    if code not in CODES:
        raise WrongCommand(f"there is no code '{args.code}'; codes run from {min(CODES)} to {max(CODES)}")
    if args.json:
        put({"code": code, **asdict(CODES[code])})
    else:
        print(explain(code), end="")
    return DONE
