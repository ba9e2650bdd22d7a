"""What can be done with each published model, of which a family knows the shape: told without a model, or torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retouch.check.wiring.sites import asked
from retouch.models import families
from retouch.models.errors import BrokenModel
from retouch.models.family import Described
from retouch.plugins.registry import Registry
from retouch.plugins.signatures import StageCard

KINDS = ("self", "cross", "resnet")


@dataclass(frozen=True, slots=True)
class Capability:
    """One published model.

    refused: stages that find none of the sites that they act at, by name, and what the model lacks
    """

    model: str
    family: str
    pipeline: str
    known: Described
    refused: Mapping[str, str]

    @property
    def sites(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {kind: sum(site.kind == kind for site in self.known.sites) for kind in KINDS}


def capabilities(registry: Registry) -> Iterator[Capability]:
    """Describe every published model of every installed family, in the families' order."""
    for pipeline in families.installed():
        try:
            family = families.named(pipeline)
        except BrokenModel:  # a plugin of somebody's that cannot be imported; a model of it says so
            continue
        for model, configs in (getattr(family, "published", None) or {}).items():
            known = family.describe(configs.__getitem__)
            lacking = ((card.name, _lacks(card, known)) for card in registry.cards)
            yield Capability(model, family.name, pipeline, known, {name: what for name, what in lacking if what})


def _lacks(card: StageCard, known: Described) -> str:
    """What the first touch of a stage that meets no site looks for, as its options are by default."""
    options = {option.parameter: option.default for option in card.options}
    for written in (*card.touches, *card.reads):
        touch = written.bound(options)
        if not touch.meets(known.sites):
            return asked(touch)
    return ""
