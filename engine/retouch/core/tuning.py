"""Tuning as a value: weights that stand in for a model's own, which are never written to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.declared.storable import storable
from retouch.core.device.transfer import upload


class Update(Protocol):
    """What is added to one weight without the weight being made anew."""

    def dense(self, shape: Sequence[int]) -> Tensor:
        """What it adds to a weight of this shape."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """A product of two narrow matrices, which runs beside its layer as two."""

    up: Tensor  # [out, r]
    down: Tensor  # [r, in]; of a convolution `in` is its channels times its kernel

    def dense(self, shape: Sequence[int]) -> Tensor:
        """What it adds to a weight of this shape."""
        return (self.up @ self.down).reshape(*shape)


@storable
@dataclass(frozen=True, slots=True, eq=False)
class LearntWords:
    """How prompts name what a tuning has learnt: as a text that no language has, or as what stands in for a text.

    embeds: Tensor  # [tokens, dim], what the picture is under the tuned network; None where it has no such
    token: the words that stand before a prompt; empty where there are none
    """

    embeds: Tensor | None = None
    token: str = ""


@storable
@dataclass(frozen=True, slots=True)
class Patch:
    """Which part of a picture the network sees, in cells of which it has 128 a side: to be told it, cell by cell."""

    CELLS: ClassVar[int] = 128
    top: int = 0
    left: int = 0
    bottom: int = 128
    right: int = 128

    def waves(self, like: Tensor) -> Tensor:
        """Sines and cosines of where each feature lies, as SINE adds them to what the first layer gives.

        like: [..., C, h, w], features of the whole part; C is a multiple of 4
        -> [C, h, w]: half of the channels tell across, half down
        """
        channels, height, width = like.shape[-3:]
        rates = torch.arange(channels // 4, dtype=torch.float32) * -(math.log(10000) / (channels // 4 - 1))
        angles = torch.arange(1, self.CELLS + 1, dtype=torch.float32)[:, None] * rates.exp()  # [CELLS, C / 4]
        known = torch.cat((angles.sin(), angles.cos()), 1).T  # [C / 2, CELLS]
        across = known[:, None, self.left : self.right].expand(-1, self.bottom - self.top, -1)
        down = known[:, self.top : self.bottom, None].expand(-1, -1, self.right - self.left)
        grid = torch.cat((across, down))[None]
        made = F.interpolate(grid, (height, width), mode="bilinear", align_corners=True)[0]
        return upload(made.to(like.dtype), like.device)


@storable
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)  # what is kept for its passes goes with it
class ModelDelta:
    """Weights that stand in for some of the model's, while its rows run.  Its identity is the object.

    weights: parameter name -> tensor of the parameter's shape.
    low_rank: parameter name -> (up [out, r], down [r, in]), added to the parameter.
    beside: parameter name -> what runs beside its layer, under whatever the others say, and asks for no gradient.
    words: how prompts name what was learnt along with these weights.
    place: the part of a picture that the network is told it sees, where these weights were tuned to be told; of what
        it samples, all.
    """

    weights: Mapping[str, Tensor] = field(default_factory=dict)
    low_rank: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    beside: Mapping[str, tuple[Update, ...]] = field(default_factory=dict)
    words: LearntWords | None = None
    place: Patch | None = None

    def over(self, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that replace those of `base`, which is only read; each of its parameter's shape."""
        under = {**base, **self.weights}
        added = {
            name: under[name] + (up @ down).reshape(under[name].shape) for name, (up, down) in self.low_rank.items()
        }
        return {**self.weights, **added}

    def under(self, other: ModelDelta) -> ModelDelta:
        """The other, over this: what is added adds up, and a weight that the other gives stands in for all that was.

        What runs beside the layers here goes on under either.
        """
        if not (self.acts or self.words):
            return other
        names = {**self.beside, **other.beside}
        both = {name: (*self.beside.get(name, ()), *other.beside.get(name, ())) for name in names}
        kept = {name: pair for name, pair in self.low_rank.items() if name not in other.weights}
        ranks = {**kept, **{name: _added(kept.get(name), pair) for name, pair in other.low_rank.items()}}
        weights = {**self.weights, **other.weights}
        return ModelDelta(weights, ranks, both, other.words or self.words, other.place or self.place)

    def plus(self, other: ModelDelta, base: Mapping[str, Tensor], ratio: float) -> ModelDelta:
        """This, and so much of what the other changes of `base`: Ilharco et al. 2022, arXiv:2212.04089, eq. 1."""
        ranks = {name: (ratio * up, down) for name, (up, down) in other.low_rank.items()}
        joined = self.under(ModelDelta(low_rank=ranks, words=other.words, place=other.place))
        sums = {
            name: self.weights.get(name, base[name]) + ratio * (each - base[name])
            for name, each in other.weights.items()
        }
        return replace(joined, weights={**joined.weights, **sums})

    @property
    def acts(self) -> bool:
        """Whether a pass under it is another than one under the model's own weights."""
        return bool(self.weights or self.low_rank or self.beside or self.place)

    @property
    def wants_grad(self) -> bool:
        """Whether a gradient will be asked by one of its tensors."""
        pairs = (t for pair in self.low_rank.values() for t in pair)
        return any(t.requires_grad for t in (*self.weights.values(), *pairs))


def _added(one: tuple[Tensor, Tensor] | None, other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two products of narrow matrices as one."""
    if one is None:
        return other
    return torch.cat((one[0], other[0]), 1), torch.cat((one[1], other[1]), 0)


NOTHING = ModelDelta()
