"""A model ready to run: the parts that stages are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch

from retouch.core.denoiser import Denoiser
from retouch.core.ops import call
from retouch.core.resources import Codec
from retouch.core.schedule import Schedule
from retouch.core.transfer import upload_numbers
from retouch.core.values import Prompt
from retouch.models.errors import BrokenModel
from retouch.models.info import ModelInfo
from retouch.models.layout import CONFIGS, read_json
from retouch.models.unet.acceleration import EAGER, Acceleration
from retouch.models.unet.fusing import prepare
from retouch.models.unet.levels import NoiseLevels, noise_levels
from retouch.models.unet.network import UNetCore
from retouch.models.unet.text import ClipTextEncoder as Encoder


@dataclass(frozen=True)
class Texts:
    """The model's text encoder, as stages await it; remembers what it said of a prompt that was too long."""

    encoder: Encoder
    device: torch.device

    async def prompt(self, text: str) -> Prompt:
        """The text, encoded."""
        tokens = self.encoder.tokenize(text)
        embeds = await call(self.encoder.encode, upload_numbers(tokens.ids, torch.int64, self.device))
        return Prompt(text, embeds, tokens.spans, tokens.ids)

    def dropped(self, text: str) -> str:
        """The words that fall away because the encoder takes no more."""
        return self.encoder.tokenize(text).dropped


@contextmanager
def blamed_on(info: ModelInfo) -> Iterator[None]:
    """Whatever a library trips over while it reads a model is the model's fault, not that of a stage that waits."""
    try:
        yield
    except (BrokenModel, MemoryError, torch.OutOfMemoryError, ImportError):
        raise
    except Exception as why:
        said = (str(why).strip().splitlines() or [""])[0]
        raise BrokenModel(f"'{info.folder}' cannot be loaded: {type(why).__name__} {said}".strip()) from why


class Machine:
    """One model on one device; its weights load when they are first asked for."""

    def __init__(self, info: ModelInfo, device: str, dtype: torch.dtype, acceleration: Acceleration = EAGER) -> None:
        self.info, self.device, self.dtype, self.acceleration = info, torch.device(device), dtype, acceleration

    @cached_property
    def levels(self) -> NoiseLevels:
        """What it was trained on; read without weights."""
        with blamed_on(self.info):
            return noise_levels(read_json(self.info.folder, CONFIGS["scheduler"]))

    def schedule(self, steps: int) -> Schedule:
        """A walk of so many steps.  Raises ValueError where the model has not that many."""
        levels = self.levels
        return Schedule.ddim(
            levels.alphas_cumprod,
            steps,
            offset=levels.steps_offset,
            to_one=levels.set_alpha_to_one,
            spacing=levels.timestep_spacing,
        )

    @cached_property
    def _loaded(self):
        from retouch.models.unet.load import load

        with blamed_on(self.info):
            loaded = load(self.info, device=str(self.device), dtype=self.dtype)
        prepare(loaded.vae, self.acceleration)
        return loaded

    @cached_property
    def denoiser(self) -> Denoiser:
        """The network."""
        return Denoiser(UNetCore(self._loaded.unet, self.info.prediction, self.info.sites, self.acceleration))

    @cached_property
    def codec(self) -> Codec:
        """Pictures to latents and back."""
        return self._loaded.codec

    @cached_property
    def texts(self) -> Texts:
        """Prompts."""
        return Texts(self._loaded.text, self.device)
