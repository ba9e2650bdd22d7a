"""The parts of a Stable Diffusion, as the engine loads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from retouch.models.info import ModelInfo
from retouch.models.kit.codecs import VaeCodec
from retouch.models.kit.encoders import Encoder
from retouch.run.loaded.loaded_model import Machine


class Parts(NamedTuple):
    """Networks, and what stages are given of them."""

    info: ModelInfo
    unet: Any
    vae: Any
    text_encoder: Any
    codec: VaeCodec
    text: Encoder


def load(info: ModelInfo, dtype: torch.dtype = torch.float32) -> Parts:
    """Load a model on the CPU."""
    loaded: Any = Machine(info, "cpu", dtype).loaded
    (text,) = loaded.texts.encoders
    return Parts(info, loaded.net.module, loaded.codec.vae, text.model, loaded.codec, text)
