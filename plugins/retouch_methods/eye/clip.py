"""Image-text models.  Radford et al. 2021, arXiv:2103.00020."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import ImageText, Pretrained, stage, upload_numbers
from retouch_methods.eye.normal import Normal


@stage("eye", "clip", paper="arXiv:2103.00020", default=True, pretrained=("clip",))
def clip(pretrained: Pretrained, *, name: str) -> ImageText:
    """See with an image-text model, which says how well a picture fits a text; several see together.

    name: one that a plugin ships, such as "storybook"; the folder of a CLIPModel; or a model of the hub that was
        fetched.
    """
    return pretrained.once(_image_text)


def _image_text(pretrained: Pretrained) -> ImageText:
    from transformers import CLIPTokenizer

    model = pretrained.network(_model)
    words = CLIPTokenizer.from_pretrained(pretrained.folder, local_files_only=True)
    towers = _Towers(model, Normal.of(pretrained))
    side = model.config.vision_config.image_size

    def tokens(text: str) -> Tensor:  # [tokens]
        """What is not in the vocabulary is passed over: where it is written as the end is, it would end the text."""
        most, (first, *inner, last) = words.model_max_length, words(text, verbose=False).input_ids
        known = [id_ for id_ in inner if id_ not in (words.unk_token_id, first, last)][: most - 2]
        ids = [first, *known, last]
        return upload_numbers(ids + [words.pad_token_id] * (most - len(ids)), torch.int64, pretrained.device)

    return ImageText(side, towers.pictures, tokens, towers.words)


def _model(config: Mapping[str, Any]) -> Any:
    from transformers import CLIPConfig, CLIPModel

    return CLIPModel(CLIPConfig(**config))


@dataclass(frozen=True, slots=True)
class _Towers:
    model: Any  # transformers.CLIPModel
    normal: Normal

    def pictures(self, batch: Tensor) -> Tensor:
        """[B, 3, side, side] in [0, 1] -> [B, d], of length 1"""
        seen = self.normal(batch).to(self.model.dtype)
        return F.normalize(self.model.get_image_features(pixel_values=seen).pooler_output, dim=1).to(batch.dtype)

    def words(self, ids: Tensor) -> Tensor:
        """[B, n] -> [B, d], of length 1"""
        made = self.model.get_text_features(input_ids=ids).pooler_output
        return F.normalize(made, dim=1).float()
