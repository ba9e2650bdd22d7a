"""The denoiser as stages see it: awaitable, for one image; and tuning, as a value.

What evaluates it (`Core`) lives in retouch.run; a test's analytic model is a Core as well.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from retouch.core.ops import Ask, Group, Reply, Row
from retouch.core.schedule import Level, Prediction
from retouch.core.touches import Site
from retouch.core.values import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class ModelDelta:
    """Weights that stand in for some of the model's, while its rows run.  Its identity is the object.

    weights: parameter name -> tensor of the parameter's shape.
    low_rank: parameter name -> (up [out, r], down [r, in]), added to the parameter.
    """

    weights: Mapping[str, Tensor] = field(default_factory=dict)
    low_rank: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def over(self, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that replace those of `base`, which is only read."""
        added = {name: base[name] + (up @ down).reshape(base[name].shape) for name, (up, down) in self.low_rank.items()}
        return {**self.weights, **added}

    @property
    def wants_grad(self) -> bool:
        """Whether a gradient will be asked by one of its tensors."""
        pairs = (t for pair in self.low_rank.values() for t in pair)
        return any(t.requires_grad for t in (*self.weights.values(), *pairs))


NOTHING = ModelDelta()


class Core(Protocol):
    """One set of base weights, never written to, and the network that they belong to."""

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where controls may act."""
        ...

    @property
    def base(self) -> Mapping[str, Tensor]:
        """The base weights by parameter name; read-only."""
        ...

    def kernels(self, group: Group) -> Hashable:
        """Which kernels evaluate this group; groups of different kernels never share a pass."""
        ...

    def forward(self, groups: Sequence[Group], bucket: int) -> list[Reply]:
        """Evaluate these groups, of one model and shape, in one pass padded to `bucket` rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Denoiser:
    """`await model(x, level, prompt)`; the executor decides who shares a forward pass."""

    core: Core
    delta: ModelDelta = NOTHING

    def tuned(self, delta: ModelDelta) -> Denoiser:
        """The same network under other weights: another identity, its rows never meet this one's."""
        return Denoiser(self.core, delta)

    @property
    def identity(self) -> int:
        """Equal for denoisers whose rows may share a forward pass."""
        return hash((id(self.core), id(self.delta)))

    @property
    def wants_grad(self) -> bool:
        """Whether a gradient will be asked by its own weights."""
        return self.delta is not NOTHING and self.delta.wants_grad

    async def __call__(
        self,
        x: Tensor,
        level: Level,
        prompt: Prompt,
        *,
        timestep: float | None = None,
        role: str = "cond",
        told: Mapping[str, float] | None = None,
    ) -> Prediction:
        """What the network says of x [C, h, w] at this level under this prompt.

        timestep: what to tell the network, where that is not the level's own (DDIM inversion).
        role: the label by which attention controls find this row.
        told: numbers that some families' networks read besides, such as {"guidance": 3.5}; see `Described.told`.
        """
        row = Row(self, x, level, level.timestep if timestep is None else timestep, prompt, told or {})
        (reply,) = await Ask((Group((row,), ((role,),)),))
        return reply.predictions[0]
