"""`retouch bench`: measure with a benchmark that a plugin brings.

A plugin registers one through the hook `retouch_benches`: a function that takes the rest of the command line and
returns the exit code.  Only the plugin of the one that is asked for is imported.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Collection, Sequence
from importlib import import_module

from retouch.cli import DONE, FAILED, SIGNALLED, WrongCommand
from retouch.cli.reporting import Refusal, fault_text, put, refuse
from retouch.cli.streams.last_words import words_of
from retouch.cli.streams.speakers import Answers
from retouch.plugins import announced
from retouch.plugins.discovery import Plugin
from retouch.plugins.live import LivePlugins

# those of the distribution retouch-bench
OURS = ("attributes", "large", "packing", "painted", "quality", "scenes", "speed", "tuning")


def main(args: Namespace) -> int:
    """Run the benchmark that is named, or list those that are installed."""
    installed: dict[str, Plugin] = {}
    for found in announced.everything():
        for name in found.benches():
            installed.setdefault(name, found.plugin)  # of two plugins the first keeps a name
    if missing := _missing(args.words, installed):
        raise Refusal.of("RT454", what=missing)
    if not args.words:
        names = sorted(installed)
        put(names) if args.json else print("\n".join(names))
        return DONE
    name, *rest = args.words
    if name not in installed:
        raise WrongCommand(f"no benchmark is called '{name}'; there are: {', '.join(sorted(installed)) or 'none'}")
    plugin = installed[name]
    manager, faults = LivePlugins([plugin]).get(plugin.name) or (None, [])
    if manager is None or faults:
        raise WrongCommand(f"the plugin of '{name}' cannot be used: {fault_text(faults[0])}")
    ((place),) = [benches[name] for benches in manager.hook.retouch_benches() if name in benches]
    if isinstance(sys.stdout, Answers):
        sys.stdout.welcome.add(plugin.name)  # what it prints is what was asked for
    # What is wrong with a benchmark is its plugin's, and no fault of this command.
    module, _, function = place.partition(":")
    try:
        code = getattr(import_module(module), function)(rest)
    except WrongCommand:
        raise
    except Exception as err:
        what = f"failed: {words_of(err)[1]}"
    else:
        if code is None or (isinstance(code, int) and 0 <= code < SIGNALLED):
            return code or DONE
        what = f"has to return an exit code, 0 where all is well, and gave {code!r}"
    return refuse(
        args, FAILED, f"the benchmark '{name}' of '{plugin.name}' {what}", "RT501", f"report it to {plugin.name}"
    )


def _missing(words: Sequence[str], installed: Collection[str]) -> str:
    """What is asked for and comes with retouch-bench, where that is not installed; empty otherwise."""
    if words:
        return f"'retouch bench {words[0]}'" if words[0] in OURS and words[0] not in installed else ""
    return "" if installed else "'retouch bench'"
