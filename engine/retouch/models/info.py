"""What is known of a model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from retouch.core.grid import Grid
from retouch.core.touches import Site
from retouch.models import families
from retouch.models.checks import check_configs, check_weights
from retouch.models.configs import Config
from retouch.models.digest import fingerprint
from retouch.models.errors import BrokenModel, MissingFile
from retouch.models.family import Described
from retouch.models.layout import CARD, read_json, weights_file, weights_files
from retouch.models.vocabulary import vocabulary_size


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
    def grid(self) -> Grid | None:
        """The levels that a walk may visit; None where it may visit any, as on flow."""
        return self.known.grid

    @property
    def sized(self) -> bool:
        """Whether its schedule depends on the size of the picture."""
        return self.known.sized

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
    """Read the configs and headers of a model folder with the family that reads its pipeline."""
    pipeline = families.pipeline_of(folder)
    try:
        check_configs(folder)
        family = families.named(pipeline)
        known = family.describe(families.reader(folder))
        card = _card(folder)
        words = [vocabulary_size(folder, tokenizer) for tokenizer in known.tokenizers]
        weights = {part: weights_file(folder, part) for part in known.parts}
        for part, path in weights.items():
            check_weights(folder, part, path)
        _check_vocabulary(folder, known, words)
        return ModelInfo(
            name=name,
            folder=folder,
            revision=revision,
            pipeline=pipeline,
            family=family.name,
            known=known,
            largest_side=card.whole("largest_side", default=2 * known.trained_size),
            space=fingerprint(file for part in known.space for file in weights_files(weights[part])),
            digest=fingerprint(file for path in weights.values() for file in weights_files(path)),
            card=MappingProxyType(dict(card)),
        )
    except (KeyError, TypeError, IndexError, ArithmeticError, AttributeError) as why:
        raise BrokenModel(f"a config of '{folder}' lacks or misstates {why}") from None
    except OSError as why:
        raise BrokenModel(f"'{folder}' cannot be read: {why.strerror or why}") from None
    except MissingFile:
        raise
    except BrokenModel as why:
        raise BrokenModel(f"'{folder}' cannot be used: {why}") from None


def _card(folder: Path) -> Config:
    card = Config.read(folder, CARD) if (folder / CARD).exists() else Config({}, CARD)
    for key in ("defaults", "stages"):
        if not isinstance(card.get(key, {}), dict):
            raise card.misstated(key, "a table of options")
    for key, options in card.get("stages", {}).items():
        if not isinstance(options, dict):
            raise BrokenModel(f"{CARD} gives no table of options for '{key}'")
    return card


def _check_vocabulary(folder: Path, known: Described, words: Sequence[int]) -> None:
    """A tokenizer gives no word that its text encoder lacks: "tokenizer_2" is that of "text_encoder_2"."""
    for tokenizer, count in zip(known.tokenizers, words, strict=True):
        encoder = f"text_encoder{tokenizer.removeprefix('tokenizer')}"
        if encoder in known.parts:
            size = read_json(folder, f"{encoder}/config.json").get("vocab_size")
            if isinstance(size, int) and count > size:
                raise BrokenModel(f"the tokenizer has {count} words, the text encoder {size}")
