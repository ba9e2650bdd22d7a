"""Weights that a stage's plugin brings: looked for before anything loads."""

from __future__ import annotations

from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.plugins.announced import announced
from retouch.plugins.discovery import Plugin, installed
from retouch.plugins.signatures import StageCard

Files = tuple[tuple[str, str, str], ...]
"""Name, place and digest of each file"""


def own_weights(card: StageCard, span: Span, report: Report) -> Files:
    """Return the files that a stage names, and report those that are not there, with what to type."""
    from retouch.models.own_weights import NoWeights, digest_of, place_of

    plugin = next((each for each in installed() if each.name == card.plugin), Plugin(card.plugin, card.module))
    said, found = announced(plugin), list[tuple[str, str, str]]()
    for name in card.weights:
        try:
            place = place_of(said, name)
        except NoWeights as err:
            report.add("RT435", span, stage=card.name, name=name, what=str(err), mend=err.mend)
        else:
            found.append((name, str(place), digest_of(place)))
    return tuple(found)
