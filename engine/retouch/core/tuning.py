"""Tuning as a value: weights that stand in for a model's own, which are never written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


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


@dataclass(frozen=True, slots=True, eq=False)
class ModelDelta:
    """Weights that stand in for some of the model's, while its rows run.  Its identity is the object.

    weights: parameter name -> tensor of the parameter's shape.
    low_rank: parameter name -> (up [out, r], down [r, in]), added to the parameter.
    beside: parameter name -> what runs beside its layer, under whatever the others say, and asks for no gradient.
    """

    weights: Mapping[str, Tensor] = field(default_factory=dict)
    low_rank: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    beside: Mapping[str, tuple[Update, ...]] = field(default_factory=dict)

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
        if not (self.weights or self.low_rank or self.beside):
            return other
        names = {**self.beside, **other.beside}
        both = {name: (*self.beside.get(name, ()), *other.beside.get(name, ())) for name in names}
        kept = {name: pair for name, pair in self.low_rank.items() if name not in other.weights}
        ranks = {**kept, **{name: _added(kept.get(name), pair) for name, pair in other.low_rank.items()}}
        return ModelDelta({**self.weights, **other.weights}, ranks, both)

    def plus(self, other: ModelDelta, base: Mapping[str, Tensor], ratio: float) -> ModelDelta:
        """This, and so much of what the other changes of `base`: Ilharco et al. 2022, arXiv:2212.04089, eq. 1."""
        ranks = {name: (ratio * up, down) for name, (up, down) in other.low_rank.items()}
        joined = self.under(ModelDelta(low_rank=ranks))
        sums = {
            name: self.weights.get(name, base[name]) + ratio * (each - base[name])
            for name, each in other.weights.items()
        }
        return ModelDelta({**joined.weights, **sums}, joined.low_rank, joined.beside)

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
