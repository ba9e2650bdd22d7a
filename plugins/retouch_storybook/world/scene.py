"""Scenes: what a picture shows, as attributes and a seed, and how it is said in words."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from random import Random

from retouch_storybook.world.colors import COAT

ANIMALS = ("cat", "dog", "rabbit", "bear")
SUBJECTS = (*ANIMALS, "bird", "fish", "car", "house", "tree", "ball")
COLORS = tuple(COAT)
SETTINGS = ("in a meadow", "on a beach", "in the snow", "at night", "in a desert", "in a room")
ACCESSORIES = {"hat": "wearing a hat", "scarf": "wearing a scarf", "glasses": "wearing glasses"}
STYLES = {"sketch": "as a pencil sketch", "watercolor": "as a watercolor", "mosaic": "as a mosaic"}

HELD_OUT_FOLD, FOLDS = 2, 20
FIRST_UNSEEN_SEED = 2**31  # training draws its seeds from below


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture.  The seed decides place, size and the details of the background, and nothing else does."""

    subject: str
    color: str
    setting: str
    accessory: str | None = None  # animals only
    style: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _require("subject", self.subject, SUBJECTS)
        _require("color", self.color, COLORS)
        _require("setting", self.setting, SETTINGS)
        if self.style is not None:
            _require("style", self.style, STYLES)
        if self.accessory is not None:
            _require("accessory", self.accessory, ACCESSORIES)
            if self.subject not in ANIMALS:
                raise ValueError(f"a {self.subject} wears nothing: only {', '.join(ANIMALS)} take an accessory")

    @property
    def held_out(self) -> bool:
        """Whether this subject, in this colour, in this setting, is kept from training: 29 of the 600 triples are."""
        triple = f"{self.subject} {self.color} {self.setting}"
        return zlib.crc32(triple.encode()) % FOLDS == HELD_OUT_FOLD

    def caption(self) -> str:
        """Say all of the scene: 'an orange cat wearing a hat in a meadow as a mosaic'."""
        return " ".join([_article(self.color), self.color, self.subject, *self._circumstances()])

    def short_caption(self, rng: Random) -> str:
        """Say part of the scene, down to the bare noun; only the subject is always named."""
        color = [self.color] if rng.random() < 0.5 else []
        noun = [*color, self.subject]
        article = [_article(noun[0])] if rng.random() < 0.7 else []
        return " ".join([*article, *noun, *(phrase for phrase in self._circumstances() if rng.random() < 0.5)])

    def _circumstances(self) -> Iterable[str]:
        if self.accessory is not None:
            yield ACCESSORIES[self.accessory]
        yield self.setting
        if self.style is not None:
            yield STYLES[self.style]


def held_out_scenes() -> list[Scene]:
    """The plain scenes of all triples that are kept from training."""
    return [scene for parts in product(SUBJECTS, COLORS, SETTINGS) if (scene := Scene(*parts)).held_out]


def sample(rng: Random) -> Scene:
    """Draw a scene at random, held-out ones among them."""
    subject = rng.choice(SUBJECTS)
    dressed = subject in ANIMALS and rng.random() < 0.6
    accessory = rng.choice((None, *ACCESSORIES)) if dressed else None
    style = rng.choice(tuple(STYLES)) if rng.random() < 0.3 else None
    return Scene(subject, rng.choice(COLORS), rng.choice(SETTINGS), accessory, style, seed=rng.getrandbits(31))


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _require(attribute: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"no {attribute} '{value}': one of {', '.join(known)}")
