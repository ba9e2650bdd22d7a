"""The commands of `retouch`, one module each; each has `main(args) -> exit code`."""

from retouch.cli.streams.ending import SIGNALLED
from retouch.plugins.commands import WrongCommand

__all__ = [
    "ANOTHER_MACHINE",
    "DONE",
    "FAILED",
    "SIGNALLED",
    "SOME_FAILED",
    "WRONG_COMMAND",
    "WRONG_RECIPE",
    "WrongCommand",
]

DONE, WRONG_RECIPE, WRONG_COMMAND, SOME_FAILED, FAILED, ANOTHER_MACHINE = 0, 1, 2, 3, 4, 5
