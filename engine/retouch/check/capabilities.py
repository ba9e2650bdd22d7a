"""What can be done with each published model, of which a family knows the shape: told without a model, or torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retouch.check.wiring.fitting import SAID, unread, wanted
from retouch.check.wiring.sites import asked
from retouch.models import families
from retouch.models.errors import BrokenModel
from retouch.models.family import Described
from retouch.plugins.registry import Registry
from retouch.plugins.signatures import StageCard

KINDS = ("self", "cross", "resnet")


@dataclass(frozen=True, slots=True)
class Limitation:
    """Why a stage cannot work on a model, in a few words."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Capability:
    """One published model.

    refused: stages that `check` refuses on it, by name, each with the code and the reason
    """

    model: str
    family: str
    pipeline: str
    known: Described
    refused: Mapping[str, Limitation]

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
            refusals = ((card.name, _refusal(card, known)) for card in registry.cards)
            yield Capability(model, family.name, pipeline, known, {name: why for name, why in refusals if why})


def _refusal(card: StageCard, known: Described) -> Limitation | None:
    """What `check` would say first of a stage whose options are as by default."""
    if card.predicts and known.prediction not in card.predicts:
        return Limitation("RT320", f"for models of {wanted(card)}; this one predicts {SAID[known.prediction]}")
    if missing := unread(card, known.told):
        return Limitation("RT321", f"the model reads no '{missing[0]}'")
    if card.needs_words and not known.reads_words:
        return Limitation("RT326", "it works by words, and the model reads none")
    options = {option.parameter: option.default for option in card.options}
    for written in (*card.touches, *card.reads):
        touch = written.bound(options)
        if not touch.meets(known.sites):
            return Limitation("RT325", f"no {asked(touch, known)}")
    return None
