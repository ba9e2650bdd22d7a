"""Which plugins a command reads: `--no-plugin NAME`, and the environment's `RETOUCH_PLUGINS`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from retouch.cli import WrongCommand
from retouch.near import near_or_all
from retouch.plugins.discovery import CHOICE, leaving_out, strangers, unknown_choices


def add_no_plugin(parser: ArgumentParser) -> None:
    """Let a command be told to do without a plugin."""
    help_ = f"read nothing of this plugin; {CHOICE}=none, or a list of names, chooses for all commands"
    parser.add_argument("--no-plugin", action="append", default=[], metavar="NAME", help=help_)


@contextmanager
def without_plugins(args: Namespace) -> Iterator[None]:
    """Leave out what the command line says.  Raises WrongCommand for a name that cannot be left out."""
    unwanted: list[str] = getattr(args, "no_plugin", [])
    known = strangers() if unwanted or unknown_choices() else []
    for name in unwanted:
        if name not in known:
            what = f"--no-plugin takes the name of a plugin that may be left out, not '{name}'"
            raise WrongCommand(f"{what}; {near_or_all(name, known)}")
    for name in unknown_choices():
        word = name.removeprefix("-")
        raise WrongCommand(f"{CHOICE} names '{word}', and no such plugin is installed; {near_or_all(word, known)}")
    with leaving_out(unwanted):
        yield
