"""What a training drawing is called: captions of every length, down to the bare noun and to nothing."""

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from retouch_storybook.world import Scene

SYNONYMS = {"cat": "kitten", "dog": "puppy", "rabbit": "bunny", "gray": "grey"}
EMPTY, WHOLE, SYNONYM = 0.1, 0.35, 0.1  # how often


def draw_caption(scene: Scene, rng: Random, *, empty: float = EMPTY) -> str:
    """Say all, part or nothing of a scene; now and then with another word for the same thing."""
    if rng.random() < empty:
        return ""
    caption = scene.caption() if rng.random() < WHOLE else scene.short_caption(rng)
    return " ".join(SYNONYMS.get(word, word) for word in caption.split()) if rng.random() < SYNONYM else caption


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """[n, length], padded; the length is the tokenizer's."""
    ids = tokenizer(
        list(captions), padding="max_length", max_length=tokenizer.model_max_length, truncation=True
    ).input_ids
    return torch.tensor(ids)
