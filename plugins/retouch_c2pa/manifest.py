"""What a manifest says of a result: its actions, in the words of the C2PA specification 2.2, and its source.

Actions and their order: "c2pa.opened" of the source and then "c2pa.edited", or "c2pa.created" where there is no source.
What a picture comes from stands in words of IPTC's list of digital source types.
"""

from __future__ import annotations

from typing import Any

from retouch.api.signing import Claim

_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED, COMPOSITE, DRAWN = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "digitalCreation"
PROGRAM = "retouch"
SOURCE = "source"  # the ingredient's label
_PARAMETERS = ("recipe", "libraries", "caption", "model", "model_digest", "model_revision", "seed")


def manifest(claim: Claim, mime: str) -> dict[str, Any]:
    """The definition of a manifest, as the library takes it, without its ingredient."""
    told: dict[str, Any] = {
        "claim_generator_info": [_program(claim)],
        "format": mime,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": _actions(claim)}}],
    }
    return told | ({"title": claim.title} if claim.title else {})


def ingredient(claim: Claim) -> dict[str, Any]:
    """The source, as the library takes it."""
    named = {"title": claim.source_name} if claim.source_name else {}
    return {"relationship": "parentOf", "label": SOURCE, **named}


def _actions(claim: Claim) -> list[dict[str, Any]]:
    said = {f"{PROGRAM}.{name}": claim.told[name] for name in _PARAMETERS if claim.told.get(name)}
    agent = {"softwareAgent": _program(claim)}
    parameters = {"parameters": said} if said else {}
    if claim.source is None:
        kind = COMPOSITE if claim.composite else TRAINED if claim.trained else DRAWN
        return [{"action": "c2pa.created", "digitalSourceType": _TYPES + kind, **agent, **parameters}]
    trained = {"digitalSourceType": _TYPES + COMPOSITE} if claim.trained else {}
    return [
        {"action": "c2pa.opened", "parameters": {"ingredientIds": [SOURCE]}},
        {"action": "c2pa.edited", **trained, **agent, **parameters},
    ]


def _program(claim: Claim) -> dict[str, str]:
    version = claim.told.get(PROGRAM, "")
    return {"name": PROGRAM, **({"version": version} if version else {})}
