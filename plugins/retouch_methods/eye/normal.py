"""Colours as a network was trained to see them."""

from __future__ import annotations

from typing import NamedTuple, Self

from torch import Tensor

from retouch.api import Pretrained, upload_numbers

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Three = tuple[float, float, float]


class Normal(NamedTuple):
    """The mean and the deviation of each colour, as its preprocessor_config.json says."""

    mean: Three
    std: Three

    @classmethod
    def of(cls, pretrained: Pretrained, mean: Three = CLIP_MEAN, std: Three = CLIP_STD) -> Self:
        """Read them, or take these where the folder says nothing."""
        said = pretrained.read("preprocessor_config.json")
        return cls(tuple(said.get("image_mean", mean)), tuple(said.get("image_std", std)))

    def __call__(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1], normalised"""
        mean, std = upload_numbers(self, pictures.dtype, pictures.device)[:, :, None, None]
        return (pictures - mean) / std
