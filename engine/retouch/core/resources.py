"""What the engine hands to stages besides values that stages make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from retouch.core.values import Image, Latents, Mask, Prompt


class Frame(Protocol):
    """The picture as it is now, as an image or as latents, whichever is there: for stages that want its size alone."""

    @property
    def data(self) -> Tensor:
        """Its numbers, for their precision and device."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...


class Codec(Protocol):
    """The model's picture codec: batched functions, to be awaited through `call`."""

    @property
    def scale(self) -> int:
        """Pixels per latent cell."""
        ...

    @property
    def side(self) -> int:
        """Pixels of a side of the pictures that the model was trained on."""
        ...

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The least size that the model takes and that holds a picture of this one."""
        ...

    def encode(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] -> scaled latents [B, C, h, w]"""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [B, C, h, w] -> [B, 3, H, W] in [0, 1]"""
        ...


class TextEncoder(Protocol):
    """The model's text encoder, for stages that need a prompt of their own."""

    async def prompt(self, text: str) -> Prompt:
        """The text, encoded."""
        ...


class Pictures(Protocol):
    """The files that a recipe may read; each was looked at before anything ran."""

    def image(self, path: str, size: int) -> Image:
        """The picture there, its longer side no more than `size` pixels (0: as it is)."""
        ...

    def area(self, path: str, label: int | None, height: int, width: int) -> Mask:
        """The mask there, of a picture of this size: 1 is edited.  label: of its numbers, None if it holds none."""
        ...


class Outbox(Protocol):
    """Where results go: files that appear whole or not at all, each with the recipe that made it."""

    def image(self, path: str, image: Image) -> None:
        """Write a picture."""
        ...

    def mask(self, path: str, pixels: Tensor) -> None:
        """Write a mask [H, W] in [0, 1] as a grey picture."""
        ...

    def latents(self, path: str, latents: Latents) -> None:
        """Write latents as safetensors, under the key "latents"."""
        ...


class Sheet(Protocol):
    """A place on a contact sheet that other results of the recipe share."""

    def place(self, image: Image) -> None:
        """Put the picture there."""
        ...


class Figures(Protocol):
    """A row of a table that other results of the recipe share."""

    def put(self, figures: Mapping[str, float]) -> None:
        """Write what was measured, by the names of its columns."""
        ...
