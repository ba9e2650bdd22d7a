"""`retouch plugins`: what is loaded, and what is broken and why."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter

from retouch.cli import DONE
from retouch.cli.reporting import fault_text, put
from retouch.plugins import discovery, registry


def main(args: Namespace) -> int:
    """List every plugin with its stages and faults."""
    installed = discovery.installed()
    found = registry.load(installed)
    stages = Counter(card.plugin for card in found.cards)
    for plugin in installed:
        wrong = [fault_text(fault) for fault in found.faults if fault.plugin == plugin.name]
        where = f"{plugin.distribution} {plugin.version}".strip()
        if args.json:
            facts = {"plugin": plugin.name, "module": plugin.module, "distribution": where}
            put({**facts, "stages": stages[plugin.name], "faults": wrong, "notes": found.notes(plugin.name)})
        else:
            count = f"{stages[plugin.name]} stage{'' if stages[plugin.name] == 1 else 's'}"
            print(f"{plugin.name}: {count}, from {where or plugin.module}")
            for text in (*wrong, *found.notes(plugin.name)):
                print(f"  {text}")
    return DONE
