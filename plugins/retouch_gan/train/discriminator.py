"""The discriminator: tells latents of drawings from the generator's, given what they are to show.

Residual, with a projection of the labels (Miyato & Koyama 2018, arXiv:1802.05637).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retouch_gan.networks import GAIN, LABELS, LATENTS, SLOPE, Linear

WIDTHS = (96, 160, 224)  # channels at 16, 8 and 4 cells a side
GROUP = 8  # pictures whose spread is told to each of them


class Conv(nn.Module):
    """A convolution with weights that are scaled as they run."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = (inputs * side * side) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[-1] // 2)


class Block(nn.Module):
    """Two convolutions beside a shortcut, halved in side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = Conv(inputs, inputs, 3), Conv(inputs, outputs, 3)
        self.shortcut = Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = _active(self.first(x))
        y = _active(self.second(F.avg_pool2d(y, 2)))
        return (y + self.shortcut(F.avg_pool2d(x, 2))) * 0.5**0.5


class Discriminator(nn.Module):
    """How much latents look like a drawing's that has these labels."""

    def __init__(self) -> None:
        super().__init__()
        wide, half, quarter = WIDTHS
        self.begin = Conv(LATENTS, wide, 3)
        self.blocks = nn.Sequential(Block(wide, half), Block(half, quarter))
        self.end = Conv(quarter + 1, quarter, 3)
        self.features = Linear(quarter * 16, quarter)
        self.score = Linear(quarter, 1)
        self.label = Linear(LABELS, quarter)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """[n, 4, 16, 16], [n, LABELS] -> [n]"""
        x = self.blocks(_active(self.begin(latents)))
        x = _active(self.end(torch.cat([x, _spread(x)], dim=1)))
        x = _active(self.features(x.flatten(1)))
        agreement = (x * self.label(labels)).sum(dim=1) * x.shape[1] ** -0.5
        return self.score(x)[:, 0] + agreement


def _active(x: Tensor) -> Tensor:
    return GAIN * F.leaky_relu(x, SLOPE)


def _spread(x: Tensor) -> Tensor:
    """How much the pictures of a group differ, as one more channel.  [n, C, h, w] -> [n, 1, h, w]"""
    groups = x.view(-1, min(GROUP, len(x)), *x.shape[1:])
    spread = (groups.var(dim=1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return spread.repeat_interleave(groups.shape[1])[:, None, None, None].expand(-1, 1, *x.shape[2:])
