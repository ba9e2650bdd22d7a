"""Vision transformers: keys and class tokens of any layer.

Dosovitskiy et al. 2020, arXiv:2010.11929; Caron et al. 2021 (DINO), arXiv:2104.14294; Oquab et al. 2023 (DINOv2),
arXiv:2304.07193.  Keys as descriptors of structure: Tumanyan et al. 2022, arXiv:2201.00424.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from retouch.api import Pretrained, VisionTokens, stage
from retouch_methods.eye.normal import IMAGENET_MEAN, IMAGENET_STD, Normal

_KEYS = (".self_attn.k_proj", ".attention.k_proj")
_TODAY = (  # what published files of ViT and DINOv2 call layers, and what transformers calls them now
    (re.compile(r"^(vit|dinov2)\."), ""),
    (re.compile(r"attention\.attention\.(query|key|value)\."), lambda found: f"attention.{found[1][0]}_proj."),
    (re.compile(r"attention\.output\.dense\."), "attention.o_proj."),
    (re.compile(r"\.intermediate\.dense\."), ".mlp.fc1."),
    (re.compile(r"(\d)\.output\.dense\."), r"\1.mlp.fc2."),
)


@stage(
    "eye",
    "vit",
    paper="arXiv:2104.14294",
    pretrained=("vit", "dinov2", "clip", "clip_vision_model"),
    facts={"layers": "layers"},
)
def vit(pretrained: Pretrained, *, name: str) -> VisionTokens:
    """See with a vision transformer, such as DINO: its keys say how a picture is built, its class token what it shows.

    name: the folder of a ViT, DINO or DINOv2; one of CLIP, whose image tower it is; or a model of the hub that was
        fetched.
    """
    return pretrained.once(_vision_tokens)


def _vision_tokens(pretrained: Pretrained) -> VisionTokens:
    kind = pretrained.config["model_type"]
    normal = Normal.of(pretrained) if kind.startswith("clip") else Normal.of(pretrained, IMAGENET_MEAN, IMAGENET_STD)
    whole = pretrained.network(_MODELS[kind], _SPELT.get(kind))
    tower = getattr(whole, "vision_model", whole)
    config = getattr(whole.config, "vision_config", whole.config)
    keys = [module for path, module in tower.named_modules() if path.endswith(_KEYS)]
    side, layers = config.image_size, config.num_hidden_layers

    def look(batch: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, side, side] in [0, 1] -> class tokens [B, layers, d], keys [B, layers, n, d]"""
        seen: list[Tensor] = []
        heard = [each.register_forward_hook(lambda _, __, out: seen.append(out)) for each in keys]
        try:
            made = tower(pixel_values=normal(batch).to(whole.dtype), output_hidden_states=True)
        finally:
            for each in heard:
                each.remove()
        tokens = [hidden[:, 0] for hidden in made.hidden_states[1:]]
        tokens[-1] = made.last_hidden_state[:, 0]  # behind the last norm, where DINO's head reads it
        return torch.stack(tokens, 1).to(batch.dtype), torch.stack(seen, 1).to(batch.dtype)

    return VisionTokens(side, layers, look)


def _spelt(name: str) -> str | None:
    """A published name as it is today; None for heads, which nobody asks."""
    for old, new in _TODAY:
        name = old.sub(new, name)
    return None if name.startswith(("pooler.", "classifier.")) else name


def _spelt_vit(name: str) -> str | None:
    return (_spelt(name) or "").replace("encoder.layer.", "layers.") or None


def _vit(config: Mapping[str, Any]) -> nn.Module:
    from transformers import ViTConfig, ViTModel

    return ViTModel(ViTConfig(**config), add_pooling_layer=False)


def _dinov2(config: Mapping[str, Any]) -> nn.Module:
    from transformers import Dinov2Config, Dinov2Model

    return Dinov2Model(Dinov2Config(**config))


def _clip(config: Mapping[str, Any]) -> nn.Module:
    from transformers import CLIPConfig, CLIPModel

    return CLIPModel(CLIPConfig(**config))


def _clip_vision(config: Mapping[str, Any]) -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return CLIPVisionModel(CLIPVisionConfig(**config))


_MODELS = {"vit": _vit, "dinov2": _dinov2, "clip": _clip, "clip_vision_model": _clip_vision}
_SPELT = {"vit": _spelt_vit, "dinov2": _spelt}
