"""What commands and the benchmarks of plugins have in common."""

from __future__ import annotations


class WrongCommand(Exception):
    """The command line cannot be meant as it is written; `retouch` says why in one line, with exit code 2."""
