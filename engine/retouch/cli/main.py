"""The command line: which command, with which arguments, and how it ends."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from retouch.cli import DONE, FAILED, SIGNALLED, WRONG_COMMAND, WrongCommand
from retouch.cli.arguments import parsed
from retouch.cli.reporting import Refusal, refuse
from retouch.cli.streams.ending import tell_stopped
from retouch.cli.streams.last_words import after_the_answer, last_words
from retouch.cli.streams.speakers import known_plugins, speaking
from retouch.cli.streams.stopping import place, stoppable
from retouch.cli.streams.talk import lead_nowhere
from retouch.cli.without import without_plugins
from retouch.plugins.interrupts import ENDING, listening, stopped_by

# Commands whose whole work is what they print.
ANSWERS = (
    "check",
    "plan",
    "graph",
    "json",
    "stages",
    "matrix",
    "explain",
    "plugins",
    "models",
    "doctor",
    "show",
    "status",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; whatever happens, the answer is a sentence and an exit code, never a traceback.

    The exit code tells what became of the work, whether or not anyone listened to the end.
    """
    known_plugins.cache_clear()
    with speaking() as out, last_words():
        args = parsed(argv)
        code = _run(args)
        out.flush()
        if code == DONE and args.command in ANSWERS and out.lost and not isinstance(out.lost, BrokenPipeError):
            print(f"retouch {args.command}: the answer could not be written: {out.lost}", file=sys.stderr)
            return FAILED
        return code


def process() -> None:
    """Run one command as a process of its own: what is printed when it ends is no answer."""
    lead_nowhere()
    try:
        sys.exit(main())
    finally:
        after_the_answer()


def _run(args: argparse.Namespace) -> int:
    try:
        with stoppable(), listening(ENDING), without_plugins(args):
            return import_module(f"retouch.cli.commands.{args.module}").main(args)
    except WrongCommand as err:
        return refuse(args, WRONG_COMMAND, str(err))
    except Refusal as err:
        return refuse(args, WRONG_COMMAND, str(err), err.code, err.mend)
    except KeyboardInterrupt as stop:
        frames = [place(frame) for frame, _ in traceback.walk_tb(stop.__traceback__)]
        where = next((f" in {found}" for found in reversed(frames) if found), "")
        on = ", and the same command goes on from there" if args.command == "run" else ""
        on = on.replace("command", "command without --again") if getattr(args, "again", False) else on
        tell_stopped(f"stopped{where}; what was finished is kept{on}")
        return SIGNALLED + stopped_by()
    except BaseException as err:  # the last resort: a mistake of ours, or of a plugin's, is still no traceback
        if isinstance(err, SystemExit) and args.command == "bench":  # its own command line
            raise
        if isinstance(err, FileNotFoundError) and _nowhere():
            return refuse(args, WRONG_COMMAND, "the folder that you are in is gone; go to another")
        return refuse(args, FAILED, f"'{args.command}' failed: {type(err).__name__}: {err}", "RT501")


def _nowhere() -> bool:
    """Whether the folder that the command is run in was removed."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False
