"""What is known of a model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from retouch.core.declared.touches import Site
from retouch.core.grid import Grid
from retouch.models import families
from retouch.models.checks import check_configs, check_weights
from retouch.models.errors import BrokenModel, MissingFile
from retouch.models.family import Described
from retouch.models.files.configs import Config
from retouch.models.files.layout import CARD
from retouch.models.files.model_files import ModelFiles
from retouch.models.lora.layers import Lora
from retouch.models.prompts.vocabulary import vocabulary_size


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model on this machine, read from its configs; no weights, no torch."""

    name: str
    files: ModelFiles = field(repr=False)
    revision: str | None  # commit hash, for a model from the hub
    pipeline: str  # the class in model_index.json, which decides the family
    family: str  # its name
    known: Described = field(repr=False)  # what the family says of it
    largest_side: int  # pixels; what the card promises, else twice the trained size
    space: str  # fingerprint of the parts that decide what a latent means: models that share it can exchange latents
    digest: str  # fingerprint of all that decides what it makes: weights, configs, vocabularies
    weights: str  # fingerprint of all weights alone, which one that ships is known by, as all were once
    card: Mapping[str, Any] = field(repr=False)  # what card.json says, if there is one
    loras: tuple[Lora, ...] = ()
    plain: ModelInfo | None = field(default=None, repr=False)  # the same without them, if there are some
    left_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], repr=False)  # by LoRA
    foreign: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  # by LoRA, whose it says it is
    texts: tuple[str, ...] = ()  # by which it was named in a recipe, where that was more than its name

    @property
    def folder(self) -> Path:
        """Where it lies: its folder, or the single file that was named."""
        return self.files.place

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


def _weights(files: ModelFiles, known: Described, pipeline: str) -> str:
    """Tell weights apart, and who reads them: the same ones are another model to a stranger's family."""
    weights = files.digest(known.parts)
    if not families.is_strangers(pipeline):
        return weights
    return sha256(f"{weights} {pipeline} {families.module_of(pipeline)}".encode()).hexdigest()[: len(weights)]


def describe(name: str, folder: Path | ModelFiles, revision: str | None = None) -> ModelInfo:
    """Read the configs and headers of a model with the family that reads its pipeline."""
    files = folder if isinstance(folder, ModelFiles) else ModelFiles.of_folder(folder)
    place, pipeline = files.place, families.pipeline_of(files.configs)
    try:
        check_configs(files)
        family = families.named(pipeline)
        known = families.describe(pipeline, files.read)
        card = _card(files.configs)
        words = [vocabulary_size(files.folder(tokenizer)) for tokenizer in known.tokenizers]
        for part in known.parts:
            files.weights(part)
        for part in known.parts:
            check_weights(files, part)
        # A tokenizer may give no word that its text encoder lacks: "tokenizer_2" is that of "text_encoder_2".
        for vocabulary, count in zip(known.tokenizers, words, strict=True):
            encoder = f"text_encoder{vocabulary.removeprefix('tokenizer')}"
            if encoder in known.parts:
                size = files.read(f"{encoder}/config.json").get("vocab_size")
                if isinstance(size, int) and count > size:
                    raise BrokenModel(f"the tokenizer has {count} words, the text encoder {size}")
        weights = _weights(files, known, pipeline)
        said = files.digest_of_configs(known.parts, known.tokenizers)
        return ModelInfo(
            name=name,
            files=files,
            revision=revision,
            pipeline=pipeline,
            family=family.name,
            known=known,
            largest_side=card.whole("largest_side", default=2 * known.trained_size),
            space=files.digest_of_parts(known.space),
            digest=sha256(f"{weights} {said}".encode()).hexdigest()[: len(weights)],
            weights=weights,
            card=MappingProxyType(dict(card)),
        )
    except (KeyError, TypeError, IndexError, ArithmeticError, AttributeError) as why:
        raise BrokenModel(f"a config of '{place}' lacks or misstates {why}") from None
    except OSError as why:
        raise BrokenModel(f"'{place}' cannot be read: {why.strerror or why}") from None
    except MissingFile:
        raise
    except BrokenModel as why:
        raise BrokenModel(f"'{place}' cannot be used: {why}") from None


def _card(folder: Path) -> Config:
    card = Config.read(folder, CARD) if (folder / CARD).exists() else Config({}, CARD)
    for key in ("defaults", "stages"):
        if not isinstance(card.get(key, {}), dict):
            raise card.misstated(key, "a table of options")
    for key, options in card.get("stages", {}).items():
        if not isinstance(options, dict):
            raise BrokenModel(f"{CARD} gives no table of options for '{key}'")
    return card
