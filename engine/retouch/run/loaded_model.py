"""A model ready to run: the parts that stages are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import torch

from retouch.core.denoiser import Denoiser
from retouch.core.resources import Codec
from retouch.core.schedule import Schedule
from retouch.models import families
from retouch.models.errors import BrokenModel
from retouch.models.family import Loaded, ModelFamily, ModelTexts
from retouch.models.info import ModelInfo
from retouch.models.network.acceleration import EAGER, Acceleration


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
    def family(self) -> ModelFamily:
        """What reads models of its kind."""
        return families.named(self.info.pipeline)

    def schedule(self, steps: int, size: tuple[int, int]) -> Schedule:
        """A walk of so many steps for latents of this size [h, w].  Raises ValueError where there are not that many."""
        return self.family.schedule(self.info.files.read, steps, size)

    @cached_property
    def loaded(self) -> Loaded:
        """All parts, in evaluation mode and without gradients."""
        from retouch.models.kit.loading import ModelLoading

        with blamed_on(self.info):
            parts = ModelLoading(self.info.files, self.device, self.dtype, self.acceleration)
            return self.family.load(self.info.known, parts)

    @cached_property
    def denoiser(self) -> Denoiser:
        """The network."""
        from retouch.models.network.core import NetworkCore

        known = self.info.known
        return Denoiser(NetworkCore(self.loaded.net, known.prediction, known.sites, known.told, self.acceleration))

    @property
    def codec(self) -> Codec:
        """Pictures to latents and back."""
        return self.loaded.codec

    @property
    def texts(self) -> ModelTexts:
        """Prompts."""
        return self.loaded.texts
