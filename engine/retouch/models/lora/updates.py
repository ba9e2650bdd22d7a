"""The arithmetic of LoRA (Hu et al. 2021), LoHa (Hyeon-Woo et al. 2022) and LoKr (Yeh et al. 2024), layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from retouch.core.tuning import LowRank, Update
from retouch.models.lora.layers import Lora, LoraLayer
from retouch.models.lora.placing import Placed
from retouch.models.weights import read_as_stored


@dataclass(frozen=True, slots=True, eq=False)
class Hadamard:
    """Two low-rank products, multiplied number by number; made anew for each pass, one layer at a time."""

    one: tuple[Tensor, Tensor]  # [out, rank] and [rank, in…]
    two: tuple[Tensor, Tensor]  # the same, of a rank of its own
    rows: slice
    scale: float

    def dense(self, shape: Sequence[int]) -> Tensor:
        """What it adds to a weight.  [out, in…]"""
        (a, b), (c, d) = self.one, self.two
        return (self.scale * (a[self.rows] @ b) * (c[self.rows] @ d)).reshape(*shape)


@dataclass(frozen=True, slots=True, eq=False)
class Kronecker:
    """A Kronecker product, made anew for each pass, one layer at a time."""

    one: Tensor  # [a, b]
    two: Tensor  # [c, d…]
    rows: slice
    scale: float

    def dense(self, shape: Sequence[int]) -> Tensor:
        """What it adds to a weight.  [out, in…]"""
        one = self.one.reshape(*self.one.shape, *[1] * (self.two.ndim - 2))
        return (self.scale * torch.kron(one, self.two)[self.rows]).reshape(*shape)


def updates(
    lora: Lora, placed: Sequence[Placed], device: torch.device, dtype: torch.dtype
) -> dict[str, tuple[Update, ...]]:
    """Return what a file adds to the weights of one part, in the type in which the part runs.

    Low-rank factors are scaled in float32, then rounded once.
    """
    found: dict[str, tuple[Update, ...]] = {}
    for each in placed:
        stored = {factor: each.layer.stored[factor] for factor in each.layer.factors}
        tensors = {factor: tensor.float() for factor, tensor in read_as_stored(lora.file, stored).items()}
        made = _update(each.layer, tensors, lora.weight, slice(*each.rows), device, dtype)
        found[each.weight] = (*found.get(each.weight, ()), made)
    return found


def _update(
    layer: LoraLayer, t: Mapping[str, Tensor], weight: float, rows: slice, device: torch.device, dtype: torch.dtype
) -> Any:
    def there(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype).contiguous()

    if "down" in t:
        scale = weight * _by_rank(t, t["down"].shape[0], layer.scale)
        return LowRank(there(scale * t["up"].flatten(1)[rows]), there(t["down"].flatten(1)))
    if "hada_w1_a" in t:
        scale = weight * _by_rank(t, t["hada_w1_b"].shape[0], None)
        one, two = ((there(t[f"hada_w{i}_a"]), there(t[f"hada_w{i}_b"].flatten(1))) for i in "12")
        return Hadamard(one, two, rows, scale)
    ranks = [t[f"lokr_w{i}_b"].shape[0] for i in "12" if f"lokr_w{i}_b" in t]
    scale = weight * (_by_rank(t, ranks[0], None) if ranks else 1.0)
    return Kronecker(there(_factor(t, "lokr_w1")), there(_factor(t, "lokr_w2")), rows, scale)


def _by_rank(t: Mapping[str, Tensor], rank: int, said: float | None) -> float:
    """Files say alpha, which is divided by the rank; where they say nothing it is the rank."""
    return float(t["alpha"]) / rank if "alpha" in t else 1.0 if said is None else said


def _factor(t: Mapping[str, Tensor], name: str) -> Tensor:
    if name in t:
        return t[name]
    a, b = t[f"{name}_a"], t[f"{name}_b"]
    return (a @ b.flatten(1)).reshape(a.shape[0], *b.shape[1:])
