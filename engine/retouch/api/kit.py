"""What families load: networks, codecs and text encoders, and the core that evaluates a network for stages."""

from __future__ import annotations

from retouch.models.kit.codecs import VaeCodec, cells, patches
from retouch.models.kit.encoders import (
    Encoded,
    Encoder,
    PromptTokenizer,
    Texts,
    alone,
    clip_inner,
    clip_last,
    clip_last_and_pooled,
    layers,
    t5,
    wide,
)
from retouch.models.kit.levels import ddim_schedule
from retouch.models.kit.loading import ModelLoading
from retouch.models.kit.pixels import ClassTexts, NoTexts, PixelCodec
from retouch.models.kit.text_models import clip_encoder, qwen3_encoder, t5_encoder
from retouch.models.kit.unet import UNet
from retouch.models.network.acceleration import Acceleration
from retouch.models.network.core import NetworkCore
from retouch.models.network.fusing import prepare
from retouch.models.prompts.tokens import Tokens

__all__ = [
    "Acceleration",
    "ClassTexts",
    "Encoded",
    "Encoder",
    "ModelLoading",
    "NetworkCore",
    "NoTexts",
    "PixelCodec",
    "PromptTokenizer",
    "Texts",
    "Tokens",
    "UNet",
    "VaeCodec",
    "alone",
    "cells",
    "clip_encoder",
    "clip_inner",
    "clip_last",
    "clip_last_and_pooled",
    "ddim_schedule",
    "layers",
    "patches",
    "prepare",
    "qwen3_encoder",
    "t5",
    "t5_encoder",
    "wide",
]
