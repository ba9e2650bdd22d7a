"""What a stage's task is surrounded with, so that a plugin's mistake stays its own.

Every result is held against its declared type.  Where a plugin that does not come with the engine takes part, a stage
works on copies of what it is given, since others may have the same; what it writes into is noticed, what it changes for
the process is put back, and functions that it hands on are asked for what they promise.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from retouch.core.attention import AttentionControl
from retouch.core.denoiser import Denoiser
from retouch.core.schedule import Prediction, Schedule
from retouch.core.touches import Touch
from retouch.core.values import Image, Latents, Mask
from retouch.core.walk import Blend, Guidance, Trajectory
from retouch.run.results import Declared, Doubt, WrongResult, described, tensors
from retouch.run.surroundings import Unchanged

Tell = Callable[[str], None]
# Shared as they are: frozen, or without tensors of their own.
_SHARED = (type, Schedule, Touch, Denoiser, AttentionControl)


class WroteInPlace(Exception):
    """A stage wrote into a tensor that it was given.  port: under which name."""

    def __init__(self, port: str) -> None:
        super().__init__(f"it wrote into '{port}'")
        self.port = port


@dataclass(slots=True)
class StageCare:
    """The surroundings of one stage.

    declared: what its result has to be.
    ports: the name of the port that each value goes to, in the order of the values.
    strange: whether it or a value that it takes comes from a plugin that is not built in.
    author: that plugin, if it made the stage itself; empty otherwise.
    tell: hears what it changed for the process.
    weights: those of all networks of the run.
    inner: questions about what the flows in its brackets made, which it answers for.
    """

    declared: Declared
    ports: Sequence[str]
    strange: bool
    author: str
    tell: Tell
    weights: BaseWeights
    inner: list[Doubt] = field(default_factory=list[Doubt])  # of the results of its flows in brackets
    _given: list[_Given] = field(default_factory=list["_Given"])
    _networks: list[Denoiser] = field(default_factory=list[Denoiser])

    def handed(self, values: Sequence[Any]) -> list[Any]:
        """The values as the stage gets them: where strangers take part, copies that are nobody else's."""
        if not self.strange:
            return list(values)
        made = [copied(value) for value in values]
        self._given = [
            _Given(port, copy_, original, copy_._version)
            for port, value, before in zip(self.ports, made, values, strict=True)
            for copy_, original in zip(tensors(value), tensors(before), strict=True)
            if copy_ is not original
        ]
        self._networks = [value for value in made if isinstance(value, Denoiser)]
        for network in self._networks:
            self.weights.know(network)
        return made

    @contextmanager
    def around(self) -> Iterator[None]:
        """Surround one advance of it.  Raises WroteInPlace."""
        try:
            with Unchanged(self.tell):
                yield
        finally:
            kept = [self.weights.kept(network) for network in self._networks]
        if not all(kept):
            raise WroteInPlace("model")
        for each in self._given:
            if each.tensor._version != each.version:
                raise WroteInPlace(each.port)

    def admitted(self, value: Any) -> tuple[Any, list[Doubt]]:
        """What others get of its result, and what is to be asked of the device.  Raises WrongResult."""
        doubts = list(self.declared.check(value))
        # What was written past torch, through `.data` or numpy, has left the version as it was.
        doubts += [Doubt(_same(each.tensor, each.original), WroteInPlace(each.port)) for each in self._given]
        self._given = []
        doubts += self.inner
        self.inner.clear()
        # The author may still hold what it gave, and write there for the next picture.
        return (_guarded(copied(value), self.author) if self.author else value), doubts


class _Given(NamedTuple):
    """A tensor as a stage has it, and as it was handed out."""

    port: str
    tensor: Tensor
    original: Tensor
    version: int


def _same(one: Tensor, other: Tensor) -> Tensor:
    """Whether [] both hold the same numbers, those that are none included."""
    return ((one == other) | (one.isnan() & other.isnan())).all()


class BaseWeights:
    """The base weights of a run's networks, which nobody may write to."""

    def __init__(self, restore: Callable[[Denoiser], None]) -> None:
        """restore: reads the weights of a network anew."""
        self._restore = restore
        self._versions: dict[int, int] = {}

    def know(self, network: Denoiser) -> None:
        """Look at a network before a stranger has it."""
        self._versions.setdefault(id(network.core), _version(network))

    def kept(self, network: Denoiser) -> bool:
        """Whether the weights are as they were; if not, they are again, before anyone else's rows are evaluated."""
        if self._versions[id(network.core)] == _version(network):
            return True
        self._restore(network)
        self._versions[id(network.core)] = _version(network)
        return False


def _version(network: Denoiser) -> int:
    """A number that grows whenever any weight is written to."""
    return sum(weight._version for weight in network.core.base.values())


def copied(value: Any) -> Any:
    """The same value, with tensors of its own: fields of dataclasses, tuples, lists and mappings are seen through."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(copied, value))
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    if not is_dataclass(value) or isinstance(value, _SHARED):
        return value
    made = copy.copy(value)
    for each in fields(value):
        before = getattr(value, each.name)
        if (after := copied(before)) is not before:
            object.__setattr__(made, each.name, after)
    return made


def _guarded(value: Any, plugin: str) -> Any:
    """The same, with the functions in it asked for what they promise; whoever calls them is not to blame for them."""
    match value:
        case Blend():
            return replace(value, apply=_blending(value.apply, plugin))
        case Image() | Latents() | Mask() | Trajectory() | AttentionControl():
            return value
        case _ if inspect.isroutine(value):
            return _guiding(value, plugin)
        case _ if callable(value) and callable(getattr(value, "begin", None)):
            return _Walking(value, plugin)
        case _:
            return value


def _guiding(guidance: Callable[..., Any], plugin: str) -> Guidance:
    async def guided(model: Any, x: Tensor, level: Any, prompt: Any, negative: Any) -> Prediction:
        # Both branches may begin with one tensor, so it is given its own.
        asked: Any = guidance(model, x.clone(), level, prompt, negative)
        if not isinstance(asked, Awaitable):
            raise WrongResult("a guidance that is an async function", described(asked), plugin)
        made: Any = await asked
        if not isinstance(made, Prediction):
            raise WrongResult("a guidance that returns a Prediction", described(made), plugin)
        if made.pair.shape != (2, *x.shape):
            form = f"a guidance whose Prediction is {[2, *x.shape]}"
            raise WrongResult(form, f"one of {list(made.pair.shape)}", plugin)
        return made

    return guided


class _Walking:
    """A stranger's rule: what it makes of a state is one."""

    def __init__(self, rule: Any, plugin: str) -> None:
        self._rule, self._plugin = rule, plugin

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # of itself, while it is copied
            raise AttributeError(name)
        return getattr(self._rule, name)

    def begin(self, x: Tensor) -> Tensor:
        made: Any = self._rule.begin(x.clone())
        if not isinstance(made, Tensor) or made.shape[1:] != x.shape or made.dtype != x.dtype:
            form = f"a rule whose begin(x) returns a state {['k', *x.shape]} as {x.dtype}"
            raise WrongResult(form, described(made), self._plugin)
        return made

    async def __call__(self, state: Tensor, step: Any, predict: Any) -> Tensor:
        asked: Any = self._rule(state.clone(), step, predict)
        made: Any = await asked if isinstance(asked, Awaitable) else asked
        if not isinstance(made, Tensor) or made.shape != state.shape or made.dtype != state.dtype:
            form = f"a rule whose async call returns a state {list(state.shape)} as {state.dtype}"
            raise WrongResult(form, described(made), self._plugin)
        return made


def _blending(apply: Callable[..., Tensor], plugin: str) -> Callable[..., Tensor]:
    def blended(state: Tensor, source: Tensor, step: Any, maps: Any) -> Tensor:
        made: Any = apply(state.clone(), source.clone(), step, maps)
        if not isinstance(made, Tensor) or made.shape != state.shape or made.dtype != state.dtype:
            form = f"a blend that returns a state {list(state.shape)} as {state.dtype}"
            raise WrongResult(form, described(made), plugin)
        return made

    return blended
