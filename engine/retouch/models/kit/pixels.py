"""Models that work on pixels themselves and read no text: their codec, and prompts of nothing or of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from retouch.core.device.precision import at_least_float32
from retouch.core.device.transfer import upload
from retouch.core.values import Prompt
from retouch.models.family import Described
from retouch.models.prompts.tokens import Tokens


@dataclass(frozen=True, slots=True)
class PixelCodec:
    """No codec at all: a latent is the picture, from -1 to 1 instead of from 0 to 1, so nothing is lost by it."""

    multiple: int  # sides in pixels must be multiples of this
    side: int  # pixels of a side of the pictures that the model was trained on
    scale: int = 1  # pixels per latent cell

    @classmethod
    def of(cls, known: Described) -> Self:
        """Make it for a model."""
        return cls(known.multiple, known.trained_size)

    def encode(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] -> [B, 3, H, W] in [-1, 1]"""
        return at_least_float32(pictures) * 2 - 1

    def decode(self, latents: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W], clamped to [0, 1]"""
        return self.decode_freely(latents).clamp(0, 1)

    def decode_freely(self, latents: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W], where colours may leave [0, 1]: for gradients, which end at a clamp."""
        return at_least_float32(latents) / 2 + 0.5

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The least size that holds this one and that the network can take."""
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple


@dataclass(frozen=True, slots=True)
class NoTexts:
    """Prompts of a network that reads none: they keep their text, for stages that read it themselves, and say nothing.

    device, dtype: of the network.
    """

    device: torch.device
    dtype: torch.dtype

    async def prompt(self, text: str) -> Prompt:
        """Keep a text: no token, [0, 0]."""
        return Prompt(text, torch.zeros(0, 0, device=self.device, dtype=self.dtype))

    def heard(self, text: str) -> Tokens:
        """Return that nothing is read, and nothing cut off that would be."""
        return Tokens((), (), (), "", 0)


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """Prompts of a network that is told a class: the class's number as text.

    Any other text names none, which is all zeros; what that means is the network's.

    count: of classes.
    device, dtype: of the network.
    """

    count: int
    device: torch.device
    dtype: torch.dtype

    async def prompt(self, text: str) -> Prompt:
        """Encode a class as one token, which is 1 at its number.  [1, count]"""
        chosen, spans, ids = torch.zeros(1, self.count, dtype=self.dtype), (), ()
        if (number := self._number(text)) is not None:
            chosen[0, number] = 1
            spans, ids = ((0, len(text)),), (number,)
        return Prompt(text, upload(chosen, self.device), spans, ids)

    def heard(self, text: str) -> Tokens:
        """Return the class as the only token; of a text that names none nothing is read."""
        number = self._number(text)
        return Tokens((), (), (), "", 0) if number is None else Tokens((number,), ((0, len(text)),), (text,), "", 1)

    def _number(self, text: str) -> int | None:
        return int(text) if text.isascii() and text.isdigit() and int(text) < self.count else None
