"""A family's model as stages are given it, and the world around it."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retouch.core.denoiser import Denoiser
from retouch.core.schedule import Schedule
from retouch.core.values import Canvas, Edit, Latents, Mask, Prompt
from retouch.core.walk import Guidance
from retouch.models.catalog import find
from retouch.run.executor import run
from retouch.run.loaded.loaded_model import Machine
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World

CELLS = 8


class FamilyModel:
    """One tiny model, loaded."""

    def __init__(self, name: str, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.name, self.folder = name, folder
        self.info = find(str(folder))
        self.known = self.info.known
        self.machine = Machine(self.info, "cpu", dtype)

    @property
    def model(self) -> Denoiser:
        """The network, as stages await it."""
        return self.machine.denoiser

    @property
    def module(self) -> Any:
        """The network, as diffusers has it."""
        return self.machine.loaded.net.module

    @property
    def vae(self) -> Any:
        """The VAE, as diffusers has it."""
        return self.codec.vae

    @property
    def codec(self) -> Any:
        """Pictures to latents and back."""
        return self.machine.codec

    @property
    def texts(self) -> Any:
        """Prompts."""
        return self.machine.texts

    @cached_property
    def encoders(self) -> list[tuple[Any, Any]]:
        """Each text encoder with its tokenizer, as transformers has them."""
        return [(encoder.model, encoder.words.tokenizer) for encoder in self.texts.encoders]

    def prompt(self, text: str) -> Prompt:
        """What the family makes of a text."""
        return run(self.texts.prompt(text))[0]

    def schedule(self, steps: int, size: tuple[int, int] = (CELLS, CELLS)) -> Schedule:
        """The family's walk."""
        return self.machine.schedule(steps, size)

    def latents(self, seed: int = 0, count: int = 1) -> Tensor:
        """[count, C, h, w]"""
        return Draws(seed).tensor(count, self.known.channels, CELLS, CELLS)

    @cache  # noqa: B019 (it lives as long as the session)
    def _edit(self, source: str, target: str) -> Edit:
        return Edit(self.prompt(source), self.prompt(target), self.prompt(""))

    def world(
        self,
        source: str = "a white cat",
        target: str = "a white dog",
        *,
        steps: int = 4,
        guidance: Guidance | None = None,
    ) -> World:
        """A random picture, an edit, and a mask of its lower half."""
        scale = self.known.scale
        lower = (torch.arange(CELLS) >= CELLS // 2).float()[:, None].expand(CELLS, CELLS)
        more = {} if guidance is None else {"guidance": guidance}
        return World(
            self.model,
            Latents(self.latents()[0], Canvas(CELLS * scale, CELLS * scale, scale)),
            self._edit(source, target),
            self.schedule(steps),
            mask=Mask(lower, scale=scale),
            **more,
        )


def far(one: Tensor, other: Tensor) -> float:
    """The greatest difference."""
    return float((one.double() - other.double()).abs().max())
