"""`retouch stages`: what is installed, with ports, options, ranges and papers."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from retouch.cli import DONE, WrongCommand
from retouch.cli.reporting import put
from retouch.graph.ports import turn_options
from retouch.near import near
from retouch.pictures import formats
from retouch.plugins import registry
from retouch.plugins.registry import Registry
from retouch.plugins.signatures import Option, StageCard


def main(args: Namespace) -> int:
    """List all stages, those of a family, or one in full."""
    found = registry.load()
    cards = found.cards
    chosen = [c for c in cards if args.family in (None, c.family)]
    if args.family and args.method:
        chosen = found.candidates(args.family, args.method)
    if not chosen:
        name = " ".join(word for word in (args.family, args.method) if word)
        known = {card.name for card in cards} | {card.family for card in cards}
        raise WrongCommand(f"no stage is called '{name}'; {near(name, known) or 'retouch stages lists all'}")
    if args.json:
        put([_data(card, found) for card in chosen])
    elif args.method or len(chosen) == 1:
        print("\n\n".join(_page(card) for card in chosen))
    else:
        print(_table(chosen, found))
    return DONE


def _table(cards: Iterable[StageCard], found: Registry) -> str:
    cards = sorted(cards, key=lambda card: (card.family, card.method))
    width = max(len(card.name) for card in cards) + 2
    return "\n".join(f"{card.name:{width}}{card.summary}{_default(card, found)}" for card in cards)


def _default(card: StageCard, found: Registry) -> str:
    return " (default)" if found.default(card.family) is card and card.default else ""


def _page(card: StageCard) -> str:
    said = {"paper": card.paper, "plugin": card.plugin, "stability": card.stability, "version": str(card.version)}
    # Lines of the docstring about an option, and what they are continued by, are shown with the option.
    names = {option.parameter for option in card.options}
    lines = (line for line in card.doc.splitlines() if not line.startswith("    "))
    about = "\n".join(each for each in lines if not names.intersection(each.partition(":")[0].split(", "))).strip()
    lines = [card.name, *(f"  {line}".rstrip() for line in about.splitlines()), ""]
    lines += [f"  {name}: {text}" for name, text in said.items() if text]
    lines.append(f"  takes: {', '.join(map(str, card.ports)) or 'nothing'}")
    lines.append(f"  makes: {card.output or 'a file'}")
    lines += [f"  {_option(option)}" for option in card.options]
    lines += [f"  {_option(option)}; of the whole turn" for option in turn_options(card).values()]
    return "\n".join(lines)


def _option(option: Option) -> str:
    default = "required" if option.required else f"{option.default!r}"
    unit = f" {option.kind.unit}" if option.kind.unit not in ("", "fraction") else ""
    bounds = f" from {option.kind.low:g} to {option.kind.high:g}{unit}" if option.kind.high is not None else ""
    files = (
        f", for files ending in {formats.listed(formats.endings(option.kind.endings))}" if option.kind.endings else ""
    )
    return f"{option.name}={default}: {option.kind}{bounds}{files}{'. ' + option.doc if option.doc else ''}"


def _data(card: StageCard, found: Registry) -> dict[str, Any]:
    return {
        "family": card.family,
        "method": card.name.partition(" ")[2],
        "default": bool(_default(card, found)),
        "summary": card.summary,
        "paper": card.paper,
        "plugin": card.plugin,
        "version": card.version,
        "stability": card.stability,
        "operand": card.operand,
        "ports": [{"name": p.name, "type": p.type, "optional": p.optional, "many": p.many} for p in card.ports],
        "output": card.output,
        "options": [_option_data(o) for o in (*card.options, *turn_options(card).values())],
    }


def _option_data(option: Option) -> dict[str, Any]:
    kind = option.kind
    return {
        "name": option.name,
        "type": kind.type,
        "default": option.default,
        "required": option.required,
        "low": kind.low,
        "high": kind.high,
        "unit": kind.unit or None,
        "choices": list(kind.choices),
        "list": kind.many,
        "endings": list(formats.endings(kind.endings)),
        "doc": option.doc,
    }
