"""What a stage may await: requests, which the executor may meet in any order, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor

from retouch.core.attention import AttentionControl
from retouch.core.declared.touches import Site, Touch
from retouch.core.errors import ForeignAwait
from retouch.core.panes import Pane
from retouch.core.schedule import Level, Prediction, Step
from retouch.core.tuning import NOTHING, ModelDelta
from retouch.core.values import AttentionMaps, Prompt, Role

T = TypeVar("T")
Asks = Coroutine[Any, Any, T]


class Core(Protocol):
    """One set of base weights, never written to, and the network that they belong to."""

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where controls may act."""
        ...

    @property
    def base(self) -> Mapping[str, Tensor]:
        """The base weights by parameter name, each of its parameter's shape; read-only."""
        ...

    def kernels(self, group: Group) -> Hashable:
        """Which kernels evaluate this group; groups of different kernels never share a pass."""
        ...

    def forward(self, groups: Sequence[Group], bucket: int) -> list[Reply]:
        """Evaluate these groups, of one model and shape, in one pass padded to `bucket` rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What a row is evaluated by: a core, under its own weights or under those of a delta."""

    core: Core
    delta: ModelDelta = NOTHING

    @property
    def identity(self) -> int:
        """Equal for networks whose rows may share a forward pass."""
        return hash((id(self.core), id(self.delta)))

    @property
    def wants_grad(self) -> bool:
        """Whether a gradient will be asked by its own weights."""
        return self.delta is not NOTHING and self.delta.wants_grad


class Row(NamedTuple):
    """One evaluation of the denoiser that someone waits for."""

    model: Network
    x: Tensor  # [C, h, w]
    level: Level
    timestep: float
    prompt: Prompt
    told: Mapping[str, float] = MappingProxyType({})  # numbers that the network reads besides

    @property
    def wants_grad(self) -> bool:
        """Whether a gradient will be asked through this row."""
        return self.x.requires_grad or self.prompt.embeds.requires_grad or self.model.wants_grad


class Scope(NamedTuple):
    """What one `together` asks of attention, for its own rows of a group."""

    controls: tuple[AttentionControl, ...]
    record: tuple[Touch, ...]
    step: Step | None
    start: int
    stop: int
    depth: int = 0  # labels that outer scopes put in front

    @property
    def progress(self) -> float:
        """How far the walk is; controls outside a walk see its beginning."""
        return self.step.progress if self.step else 0.0


class Group(NamedTuple):
    """Rows that must meet in one forward pass, because a scope lets attention flow between them."""

    rows: tuple[Row, ...]
    roles: tuple[Role, ...]  # path of each row, outermost label first
    scopes: tuple[Scope, ...] = ()  # outermost first
    pane: Pane | None = None  # the part of larger latents that its rows are

    @property
    def wants_grad(self) -> bool:
        """Whether a gradient will be asked through any of its rows."""
        return any(row.wants_grad for row in self.rows)

    @property
    def meeting(self) -> Hashable:
        """Equal for groups that a scope makes one: of one network, and of one part of larger latents."""
        return self.rows[0].model.identity, self.pane.box if self.pane else None

    def labelled(self, name: str) -> Group:
        """The same group, one level further in."""
        roles = tuple([(name, *role) for role in self.roles])
        return Group(self.rows, roles, tuple([s._replace(depth=s.depth + 1) for s in self.scopes]), self.pane)


class Reply(NamedTuple):
    """What became of a group: a prediction for each row, and for each scope a map for each of its recordings."""

    predictions: tuple[Prediction, ...]
    maps: tuple[tuple[AttentionMaps, ...], ...] = ()
    # Of controls: what would be wrong and the module of the function, and whether [] all is well.
    kept: Mapping[tuple[str, str], Tensor] = MappingProxyType({})


def all_kept(*found: Mapping[tuple[str, str], Tensor]) -> dict[tuple[str, str], Tensor]:
    """Join what is known of controls (`Reply.kept`): all is well where everybody says so."""
    joined: dict[tuple[str, str], Tensor] = {}
    for what, fine in (each for one in found for each in one.items()):
        joined[what] = joined[what] & fine if what in joined else fine
    return joined


@dataclass(frozen=True, slots=True, eq=False)
class Backward:
    """d loss / d leaves.  All that wait are done at once; images do not mix, so their losses add."""

    loss: Tensor  # []
    leaves: tuple[Tensor, ...]  # of any shapes

    def labelled(self, name: str) -> Backward:
        """Gradients have no roles."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One item for a batched function that is not the denoiser: encode, decode, embed."""

    function: Callable[[Tensor], Any]  # [B, ...] -> [B, ...], or several such
    item: Tensor  # [...]

    def labelled(self, name: str) -> Call:
        """Calls have no roles."""
        return self


def brought(batch: Tensor) -> Tensor:
    """Numbers of the device, on the host.  Calls of this are answered last, since all wait for it."""
    return batch.cpu()


Part = Group | Backward | Call


class Ask:
    """The one thing that suspends a stage."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts

    def __await__(self) -> Generator[Ask, list[Any], list[Any]]:
        return (yield self)


def as_ask(awaited: object) -> Ask:
    """What a stage awaits, if it is one of ours.  Raises ForeignAwait."""
    if not isinstance(awaited, Ask):
        raise ForeignAwait("nothing" if awaited is None else f"a {type(awaited).__name__}")
    for part in awaited.parts:
        if not isinstance(part, Group | Backward | Call):
            raise ForeignAwait(f"a {type(part).__name__}")
    return awaited
