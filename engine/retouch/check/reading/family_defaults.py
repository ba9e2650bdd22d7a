"""Another default of a family, chosen by the recipe or the command line: `defaults guide="cfgpp"`, `--set guide=cfgpp`.

What is installed chooses none: a bare family means the same to everyone unless a text that is kept says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retouch.check.reading.environment import Written, from_command_line
from retouch.check.reading.option_values import described
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.near import near
from retouch.plugins.registry import Registry, claimed
from retouch.plugins.signatures import StageCard


@dataclass(frozen=True, slots=True)
class FamilyDefaults:
    """What was chosen, and the lines and settings that are of options."""

    registry: Registry
    lines: Mapping[str, Written]
    settings: Mapping[str, str]
    origins: Mapping[str, str]  # by family, where it was chosen


def family_defaults(
    registry: Registry, lines: Mapping[str, Written], settings: Mapping[str, str], report: Report
) -> FamilyDefaults:
    """Take the families out of what `defaults` and the command line say; the command line wins."""
    options = {option.name for card in registry.cards for option in card.options}
    families = set(registry.families) - options
    given = dict(lines) | {name: from_command_line(name, text) for name, text in settings.items()}
    chosen: dict[str, StageCard] = {}
    for family in families & given.keys():
        if (card := _card(registry, family, given[family], report)) is not None:
            chosen[family] = card
    return FamilyDefaults(
        registry.choosing(chosen),
        {name: written for name, written in lines.items() if name not in families},
        {name: text for name, text in settings.items() if name not in families},
        {family: given[family].origin for family in chosen},
    )


def _card(registry: Registry, family: str, written: Written, report: Report) -> StageCard | None:
    methods = registry.methods(family)
    if not isinstance(written.value, s.Text):
        got, mend = described(written.value), f'write {family}="…"'
        wanted = "the name of a method"
        report.add("RT207", written.span, source=written.source, name=family, wanted=wanted, got=got, mend=mend)
        return None
    name = written.value.value
    found = registry.candidates(family, name)
    if len(found) == 1:
        return found[0]
    if found:
        twice: dict[str, Any] = claimed(family, name, found[0].plugin, found[1].plugin)
        report.add("RT903", written.span, source=written.source, **twice)
    else:
        mend = near(name, methods) or f"methods: {', '.join(methods)}"
        report.add("RT202", written.span, family=family, name=name, mend=mend, source=written.source)
    return None
