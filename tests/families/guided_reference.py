"""The networks of Dhariwal & Nichol 2021, sec. 3, written by hand over plain tensors in their files' names.

Nothing here knows of diffusers: it says what a file of that kind holds, and what such a network answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

GROUPS = 32
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Guided:
    """One network's shape: pixels, channels, their multiples by level, blocks a level, where it attends."""

    size: int
    channels: int
    multiples: tuple[float, ...]
    layers: int
    attends: tuple[int, ...]
    classes: int = 0
    head: int = 64
    turns: bool = True  # whether each head's queries, keys and values lie together; else all queries come first

    @property
    def widths(self) -> list[int]:
        """Channels of each level."""
        return [int(self.channels * multiple) for multiple in self.multiples]


ADM_64 = Guided(64, 192, (1, 2, 3, 4), 3, (32, 16, 8), 1000, turns=False)
ADM_256 = Guided(256, 256, (1, 1, 2, 2, 4, 4), 2, (32, 16, 8))
ADM_512 = Guided(512, 256, (0.5, 1, 1, 2, 2, 4, 4), 2, (32, 16, 8))


class Block(NamedTuple):
    """A residual block under its name; width it takes and gives; what it does to the size; an attention behind it."""

    name: str
    takes: int
    gives: int
    change: str = ""
    attention: str = ""


def down(net: Guided) -> Iterator[Block]:
    """The way down, without the first convolution."""
    width, number = net.widths[0], 1
    for level, gives in enumerate(net.widths):
        attends = net.size >> level in net.attends
        for _ in range(net.layers):
            yield Block(f"input_blocks.{number}.0", width, gives, "", f"input_blocks.{number}.1" if attends else "")
            width, number = gives, number + 1
        if level + 1 < len(net.widths):
            yield Block(f"input_blocks.{number}.0", width, width, "halve")
            number += 1


def up(net: Guided) -> Iterator[tuple[Block, ...]]:
    """The way up: each with what doubles the picture behind it, if anything does."""
    kept = [net.widths[0], *(block.gives for block in down(net))]
    width, number = net.widths[-1], 0
    for level, gives in reversed(list(enumerate(net.widths))):
        attends = net.size >> level in net.attends
        for layer in range(net.layers + 1):
            name = f"output_blocks.{number}"
            made = [Block(f"{name}.0", width + kept.pop(), gives, "", f"{name}.1" if attends else "")]
            if level and layer == net.layers:
                made.append(Block(f"{name}.{1 + attends}", gives, gives, "double"))
            yield tuple(made)
            width, number = gives, number + 1


def shapes(net: Guided) -> dict[str, tuple[int, ...]]:
    """Every tensor of such a file."""
    told, first, deepest = 4 * net.channels, net.widths[0], net.widths[-1]
    found: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = shape, shape[:1]

    def residual(block: Block) -> None:
        layer(f"{block.name}.in_layers.0", block.takes)
        layer(f"{block.name}.in_layers.2", block.gives, block.takes, 3, 3)
        layer(f"{block.name}.emb_layers.1", 2 * block.gives, told)
        layer(f"{block.name}.out_layers.0", block.gives)
        layer(f"{block.name}.out_layers.3", block.gives, block.gives, 3, 3)
        if block.takes != block.gives:
            layer(f"{block.name}.skip_connection", block.gives, block.takes, 1, 1)
        if block.attention:
            attention(block.attention, block.gives)

    def attention(name: str, width: int) -> None:
        layer(f"{name}.norm", width)
        layer(f"{name}.qkv", 3 * width, width, 1)
        layer(f"{name}.proj_out", width, width, 1)

    layer("time_embed.0", told, net.channels)
    layer("time_embed.2", told, told)
    if net.classes:
        found["label_emb.weight"] = (net.classes, told)
    layer("input_blocks.0.0", first, 3, 3, 3)
    for block in down(net):
        residual(block)
    residual(Block("middle_block.0", deepest, deepest, attention="middle_block.1"))
    residual(Block("middle_block.2", deepest, deepest))
    for blocks in up(net):
        for block in blocks:
            residual(block)
    layer("out.0", first)
    layer("out.2", 6, first, 3, 3)
    return found


def drawn(net: Guided, seed: int = 0) -> dict[str, Tensor]:
    """Random tensors of such a file, small enough for numbers to stay moderate; none is zero, as training begins."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes(net).items():
        each = torch.randn(shape, generator=generator)
        norm = len(shape) == 1 and name.endswith("weight")
        made[name] = 1 + 0.1 * each if norm else each / math.prod(shape[1:]) ** 0.5 if len(shape) > 1 else 0.1 * each
    return made


class Reference:
    """Such a network over a file's tensors."""

    def __init__(self, net: Guided, tensors: Mapping[str, Tensor]) -> None:
        self.net, self.tensors = net, tensors

    def __call__(self, x: Tensor, timesteps: Tensor, classes: Tensor | None = None) -> Tensor:
        """[B, 3, h, w], [B], [B] -> [B, 6, h, w]: the noise, then what is said of the variance"""
        told = self._told(timesteps, classes)
        x = self._convolved("input_blocks.0.0", x)
        kept = [x]
        for block in down(self.net):
            x = self._block(block, x, told)
            kept.append(x)
        deepest = self.net.widths[-1]
        x = self._block(Block("middle_block.0", deepest, deepest, attention="middle_block.1"), x, told)
        x = self._block(Block("middle_block.2", deepest, deepest), x, told)
        for first, *more in up(self.net):
            x = self._block(first, torch.cat((x, kept.pop()), 1), told)
            for block in more:
                x = self._block(block, x, told)
        return self._convolved("out.2", F.silu(self._normed("out.0", x)))

    def _told(self, timesteps: Tensor, classes: Tensor | None) -> Tensor:
        half = self.net.channels // 2
        angles = timesteps[:, None] * torch.exp(torch.arange(half) * (-math.log(10_000) / half))
        told = torch.cat((angles.cos(), angles.sin()), 1)
        told = self._linear("time_embed.2", F.silu(self._linear("time_embed.0", told)))
        return told if classes is None else told + self.tensors["label_emb.weight"][classes]

    def _block(self, block: Block, x: Tensor, told: Tensor) -> Tensor:
        change: dict[str, Change] = {
            "": lambda each: each,
            "halve": lambda each: F.avg_pool2d(each, 2),
            "double": lambda each: each.repeat_interleave(2, 2).repeat_interleave(2, 3),
        }
        inner = change[block.change](F.silu(self._normed(f"{block.name}.in_layers.0", x)))
        x = change[block.change](x)
        inner = self._convolved(f"{block.name}.in_layers.2", inner)
        scale, shift = self._linear(f"{block.name}.emb_layers.1", F.silu(told))[:, :, None, None].tensor_split(2, 1)
        inner = self._normed(f"{block.name}.out_layers.0", inner) * (1 + scale) + shift
        inner = self._convolved(f"{block.name}.out_layers.3", F.silu(inner))
        if block.takes != block.gives:
            x = self._convolved(f"{block.name}.skip_connection", x)
        x = x + inner
        return self._attended(block.attention, x) if block.attention else x

    def _attended(self, name: str, x: Tensor) -> Tensor:
        flat = self._normed(f"{name}.norm", x).flatten(2)  # [B, C, T]
        weight, bias = self.tensors[f"{name}.qkv.weight"][..., 0], self.tensors[f"{name}.qkv.bias"]
        made, heads = weight @ flat + bias[:, None], flat.shape[1] // self.net.head
        if self.net.turns:
            q, k, v = made.unflatten(1, (heads, 3, self.net.head)).unbind(2)  # [B, heads, head, T]
        else:
            q, k, v = made.unflatten(1, (3, heads, self.net.head)).unbind(1)
        maps = (q.transpose(-1, -2) @ k / self.net.head**0.5).softmax(-1)  # [B, heads, T, T]
        out = (v @ maps.transpose(-1, -2)).flatten(1, 2)  # [B, C, T]
        out = self.tensors[f"{name}.proj_out.weight"][..., 0] @ out + self.tensors[f"{name}.proj_out.bias"][:, None]
        return x + out.reshape(x.shape)

    def _normed(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, GROUPS, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], 1e-5)

    def _convolved(self, name: str, x: Tensor) -> Tensor:
        weight = self.tensors[f"{name}.weight"]
        return F.conv2d(x, weight, self.tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])
