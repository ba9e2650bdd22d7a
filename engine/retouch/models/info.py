"""What is known of a model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from retouch.core.touches import Site
from retouch.models import families
from retouch.models.digest import fingerprint
from retouch.models.errors import BrokenModel
from retouch.models.family import Described
from retouch.models.layout import CARD, check_tokenizer, read_json, weights_file


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model on this machine, read from its configs; no weights, no torch."""

    name: str
    folder: Path
    revision: str | None  # commit hash, for a model from the hub
    pipeline: str  # the class in model_index.json, which decides the family
    family: str  # its name
    known: Described = field(repr=False)  # what the family says of it
    largest_side: int  # pixels; what the card promises, else twice the trained size
    space: str  # fingerprint of the parts that decide what a latent means: models that share it can exchange latents
    digest: str  # fingerprint of all weights
    card: Mapping[str, Any] = field(repr=False)  # what card.json says, if there is one

    @property
    def channels(self) -> int:
        """Of a latent."""
        return self.known.channels

    @property
    def scale(self) -> int:
        """Pixels per latent cell, along one side."""
        return self.known.scale

    @property
    def multiple(self) -> int:
        """Sides of a picture, in pixels, are padded to multiples of this."""
        return self.known.multiple

    @property
    def trained_size(self) -> int:
        """The side of the pictures that it was trained on, in pixels."""
        return self.known.trained_size

    @property
    def tokens(self) -> int:
        """Of a prompt, with its two ends."""
        return self.known.tokens

    @property
    def prediction(self) -> Literal["epsilon", "v_prediction", "flow"]:
        """What its network predicts."""
        return self.known.prediction

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where controls may act."""
        return self.known.sites

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Options that suit this model: its card's, then its family's."""
        return {**self.known.defaults, **self.card.get("defaults", {})}

    @property
    def stages(self) -> Mapping[str, Mapping[str, Any]]:
        """Options that suit it in a turn with one stage, such as {"invert null_text": {"guidance": 1.5}}."""
        return {**self.known.stages, **self.card.get("stages", {})}


def describe(name: str, folder: Path, revision: str | None = None) -> ModelInfo:
    """Read the configs of a model folder with the family that reads its pipeline, and look for its files."""
    pipeline = families.pipeline_of(folder)
    try:
        family = families.named(pipeline)
        known = family.describe(families.reader(folder))
    except (KeyError, TypeError) as why:
        raise BrokenModel(f"a config of '{folder}' lacks or misstates {why}") from None
    except BrokenModel as why:
        raise BrokenModel(f"'{folder}' cannot be used: {why}") from None
    for tokenizer in known.tokenizers:
        check_tokenizer(folder, tokenizer)
    weights = {part: weights_file(folder, part) for part in known.parts}
    card = read_json(folder, CARD) if (folder / CARD).exists() else {}
    return ModelInfo(
        name=name,
        folder=folder,
        revision=revision,
        pipeline=pipeline,
        family=family.name,
        known=known,
        largest_side=card.get("largest_side", 2 * known.trained_size),
        space=fingerprint([weights[part] for part in known.space]),
        digest=fingerprint(weights.values()),
        card=MappingProxyType(card),
    )
