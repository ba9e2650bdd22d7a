"""The generator of the drawn world: a style-based network whose pictures are latents of the embedded model's VAE.

StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) without noise maps, conditional as in its label-conditioned form
(Karras et al. 2020, arXiv:2006.06676).  It ends at latents of 16 by 16, which the VAE's decoder makes pictures of: a
generator of pixels needs some four times the operations, and one core trained this one.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retouch.api import bilinear

NOISE = 64  # numbers of z
VALUES = (10, 10, 6, 4, 4)  # how many each attribute of a scene has: subject, colour, setting, accessory, style
LABELS = sum(VALUES)
STYLE = 128  # numbers of w
WIDTHS = (224, 160, 96)  # channels at 4, 8 and 16 cells a side
LATENTS = 4  # channels of the VAE
SIDES = (4, 8, 16)
STYLES = 2 * len(SIDES)  # of a picture: one a convolution, and one for the last output
SLOPE, GAIN = 0.2, 2**0.5  # of the leaky rectifiers; the gain keeps the variance


class Linear(nn.Module):
    """A linear layer whose weights are normal and scaled as they run, so that one learning rate suits all layers."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate * inputs**-0.5, rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class StyledConv(nn.Module):
    """A convolution whose input channels a style scales, and whose output is brought back to unit variance."""

    def __init__(self, inputs: int, outputs: int, side: int, *, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(STYLE, inputs, bias=1.0)
        self.scale, self.demodulate = (inputs * side * side) ** -0.5, demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """[n, inputs, h, h], [n, STYLE] -> [n, outputs, h, h]"""
        style, weight = self.style(w), self.weight * self.scale
        y = F.conv2d(x * style[:, :, None, None], weight, padding=self.weight.shape[-1] // 2)
        if self.demodulate:
            energy = style.square() @ weight.square().sum((2, 3)).T
            y = y * torch.rsqrt(energy + 1e-8)[:, :, None, None]
        return y + self.bias[:, None, None]


class Mapping(nn.Module):
    """z and labels to w.  Three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.label = Linear(LABELS, NOISE)
        widths = (2 * NOISE, STYLE, STYLE, STYLE)
        self.layers = nn.ModuleList(Linear(*pair, rate=0.01) for pair in pairwise(widths))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """[n, NOISE], [n, LABELS] -> [n, STYLE]"""
        w = torch.cat([_unit(z), _unit(self.label(labels))], dim=1)
        for layer in self.layers:
            w = GAIN * F.leaky_relu(layer(w), SLOPE)
        return w


class Synthesis(nn.Module):
    """Styles to latents: a learned start of 4 by 4 cells, doubled twice, with an output at every size, summed."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, widths[0], SIDES[0], SIDES[0]))
        convs = [StyledConv(widths[0], widths[0], 3)]
        for narrow, wide in pairwise(widths):
            convs += [StyledConv(narrow, wide, 3), StyledConv(wide, wide, 3)]
        self.convs = nn.ModuleList(convs)
        self.outputs = nn.ModuleList(StyledConv(width, LATENTS, 1, demodulate=False) for width in widths)

    def forward(self, styles: Tensor) -> Tensor:
        """[n, STYLES, STYLE] -> [n, 4, 16, 16]"""
        x = self.start.expand(len(styles), -1, -1, -1)
        latents = None
        for k, conv in enumerate(self.convs):
            if k % 2 == 1:
                x = _doubled(x)
            x = GAIN * F.leaky_relu(conv(x, styles[:, k]), SLOPE)
            if k % 2 == 0:
                more = self.outputs[k // 2](x, styles[:, k + 1])
                latents = more if latents is None else _doubled(latents) + more
        assert latents is not None
        return latents


class Generator(nn.Module):
    """Styles to latents, and what noise and labels have for styles.

    mean: Tensor  # [STYLE], the mean of w over all that it was trained to make
    """

    def __init__(self) -> None:
        super().__init__()
        self.mapping, self.synthesis = Mapping(), Synthesis()
        self.register_buffer("mean", torch.zeros(STYLE))

    def forward(self, styles: Tensor) -> Tensor:
        """[n, STYLES, STYLE] -> latents [n, 4, 16, 16] of about unit variance"""
        return self.synthesis(styles)

    def styles(self, z: Tensor, labels: Tensor) -> Tensor:
        """The same style everywhere in the network.  [n, NOISE], [n, LABELS] -> [n, STYLES, STYLE]"""
        return self.mapping(z, labels)[:, None].expand(-1, STYLES, -1)


class StyleEncoder(nn.Module):
    """Latents of a picture to styles that make it: one for all, and what each is to differ by.

    As pSp and e4e (Richardson et al. 2021, arXiv:2008.00951; Tov et al. 2021, arXiv:2102.02766), on latents.
    """

    def __init__(self) -> None:
        super().__init__()
        wide, half, quarter, end = 64, 128, 192, 256  # channels at 16, 8 and 4 cells a side, and of all of them
        self.body = nn.Sequential(
            _convolution(LATENTS, wide, 1),
            _convolution(wide, half, 2),
            _convolution(half, half, 1),
            _convolution(half, quarter, 2),
            _convolution(quarter, quarter, 1),
            nn.Flatten(),
            nn.Linear(quarter * SIDES[0] ** 2, end),
            nn.LeakyReLU(SLOPE),
        )
        self.style = nn.Linear(end, STYLE)
        self.offsets = nn.Linear(end, STYLES * STYLE)

    def forward(self, latents: Tensor) -> Tensor:
        """[n, 4, 16, 16] -> [n, STYLES, STYLE]"""
        features = self.body(latents)
        return self.style(features)[:, None] + self.offsets(features).view(-1, STYLES, STYLE)


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.LeakyReLU(SLOPE))


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def _doubled(x: Tensor) -> Tensor:
    return bilinear(x, (2 * x.shape[-2], 2 * x.shape[-1]))
