"""Which numbers of a denoiser a tuning moves, and the denoiser that it is with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from retouch.api import Denoiser, ModelDelta, NoiseSource, masters

Which = Literal["all", "attention", "cross", "low_rank"]
Layers = Literal["cross", "attention"]


class Movable(Protocol):
    """Tensors that are moved, and what a model is under them."""

    @property
    def model(self) -> Denoiser:
        """The model as it was."""
        ...

    def first(self) -> list[Tensor]:
        """Where they begin: the model as it is.  In float32 at least"""
        ...

    def under(self, tensors: Sequence[Tensor]) -> Denoiser:
        """The model under these, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """Some weights, each as it is."""

    model: Denoiser
    names: Sequence[str]

    def first(self) -> list[Tensor]:
        """The model's own."""
        own = self.model.weights
        return masters([own[name] for name in self.names], self.model.core.base.values())

    def under(self, tensors: Sequence[Tensor]) -> Denoiser:
        """The model with these in their place, where the network is and in its precision."""
        own = self.model.core.base
        weights = {name: each.to(own[name]) for name, each in zip(self.names, tensors, strict=True)}
        return self.model.tuned(ModelDelta(weights))


@dataclass(frozen=True, slots=True)
class Narrow:
    """To each of some matrices a product of two narrow ones.  Hu et al. 2021, arXiv:2106.09685.

    scale: how strongly the product acts: of a LoRA its alpha by its rank.
    """

    model: Denoiser
    names: Sequence[str]
    rank: int
    noise: NoiseSource
    scale: float = 1.0

    def first(self) -> list[Tensor]:
        """For each name what goes up, zeros [out, r], and what goes down, random [r, in]: together nothing."""
        made: list[Tensor] = []
        for name in self.names:
            weight = self.model.core.base[name]
            out, into = weight.shape[0], weight[0].numel()
            like = torch.zeros(into, dtype=torch.promote_types(weight.dtype, torch.float32), device=weight.device)
            rank = min(self.rank, out, into)
            draws = replace(self.noise, key=f"{self.noise.key}/{name}").normal(rank, like)  # [r, in]
            made += [like.new_zeros(out, rank), draws / into**0.5]
        return made

    def under(self, tensors: Sequence[Tensor]) -> Denoiser:
        """The model with these products beside its layers."""
        own = self.model.core.base
        pairs = zip(self.names, tensors[::2], tensors[1::2], strict=True)
        made = {name: ((self.scale * up).to(own[name].dtype), down.to(own[name].dtype)) for name, up, down in pairs}
        return self.model.tuned(ModelDelta(low_rank=made))


def movable(model: Denoiser, which: Which, rank: int, noise: NoiseSource) -> Movable:
    """What is tuned: all floating-point weights, those in attention, or narrow matrices beside all matrices.

    which: "cross" is the attention to the prompt alone; rank: of "low_rank".
    """
    base = model.core.base
    names = [name for name, weight in base.items() if weight.is_floating_point()]
    if which == "low_rank":
        return Narrow(model, [name for name in names if base[name].ndim > 1], rank, noise)
    return Whole(model, names if which == "all" else _within(names, model, which))


def lora_layers(model: Denoiser, layers: Layers) -> list[str]:
    """The matrices that a LoRA of attention stands beside: of queries, keys and values, and of what comes of them."""
    base = model.core.base
    return [name for name in _within(base, model, layers) if base[name].ndim == 2 and base[name].is_floating_point()]


def _within(names: Iterable[str], model: Denoiser, layers: Layers) -> list[str]:
    """Those that lie in attention, or in that to the prompt alone."""
    kinds = ("cross",) if layers == "cross" else ("self", "cross")
    sites = tuple(f"{site.name}." for site in model.core.sites if site.kind in kinds)
    return [name for name in names if name.startswith(sites)]
