"""Tuning as a value: weights that stand in for a model's own, which are never written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ModelDelta:
    """Weights that stand in for some of the model's, while its rows run.  Its identity is the object.

    weights: parameter name -> tensor of the parameter's shape.
    low_rank: parameter name -> (up [out, r], down [r, in]), added to the parameter.
    """

    weights: Mapping[str, Tensor] = field(default_factory=dict)
    low_rank: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def over(self, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that replace those of `base`, which is only read; each of its parameter's shape."""
        added = {name: base[name] + (up @ down).reshape(base[name].shape) for name, (up, down) in self.low_rank.items()}
        return {**self.weights, **added}

    @property
    def wants_grad(self) -> bool:
        """Whether a gradient will be asked by one of its tensors."""
        pairs = (t for pair in self.low_rank.values() for t in pair)
        return any(t.requires_grad for t in (*self.weights.values(), *pairs))


NOTHING = ModelDelta()
