"""What a stage's task is surrounded with, so that a plugin's mistake stays its own.

Every result is held against its declared type.  Where a plugin that does not come with the engine takes part, a stage
works on copies of what it is given, since others may have the same; what it writes into is noticed, what it changes for
the process is put back, and functions that it hands on are asked for what they promise.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

from torch import Tensor

from retouch.core.attention import AttentionControl
from retouch.core.awaited.requests import Call, Group, Part
from retouch.core.declared.touches import Touch
from retouch.core.denoiser import Denoiser
from retouch.core.large.stored import whole
from retouch.core.schedule import Schedule
from retouch.core.tuning import NOTHING
from retouch.core.values import Image, Latents
from retouch.graph.nodes import Node
from retouch.models.strange_family import FamilyGuard
from retouch.plugins.surroundings import Unchanged
from retouch.plugins.survival import one_process
from retouch.run.loaded.base_weights import BaseWeights
from retouch.run.strangers.handed_on import guarded, no_worse
from retouch.run.strangers.results import Declared, check_size
from retouch.run.strangers.taking_turns import TURNS
from retouch.run.strangers.wrong_results import Doubt, NotFinite, WrongAnswer, WrongResult, tensors

Tell = Callable[[str], None]
# Shared as they are: frozen, or without tensors of their own.
_SHARED = (type, Schedule, Touch, AttentionControl)
_ORIGINS = 3  # frames that a coroutine keeps of where it was begun, for who is to be told that nobody awaits it
_now: ContextVar[StageCare | None] = ContextVar("_now", default=None)  # of the stage that is at work


class WroteInPlace(Exception):
    """A stage wrote into a tensor that it was given.  port: under which name."""

    def __init__(self, port: str) -> None:
        super().__init__(f"it wrote into '{port}'")
        self.port = port


@dataclass(slots=True)
class Makers:
    """Which stage made a thing that others evaluate by: a model's delta, a codec, text encoders; by its identity."""

    _known: dict[int, tuple[Any, Node]] = field(default_factory=dict[int, tuple[Any, Node]])
    _acted: dict[int, tuple[Node, Tensor]] = field(
        default_factory=dict[int, tuple[Node, Tensor]]
    )  # of controls: [] each

    def acted(self, maker: Node, given: Iterable[Tensor], made: Iterable[Tensor]) -> None:
        """Keep whether a control, which acts while several pictures are evaluated, made nothing worse than it got."""
        if (fine := no_worse(given, made)) is not None:
            known = self._acted.get(id(maker))
            self._acted[id(maker)] = maker, fine if known is None else known[1] & fine

    def controls(self, near: Iterable[Node]) -> list[tuple[Node, Tensor]]:
        """What is kept so of these stages."""
        return [self._acted[id(each)] for each in near if id(each) in self._acted]

    def know(self, value: Any, maker: Node) -> None:
        """Remember who made it.  A codec is copied for whoever takes it, its modules are not."""
        found = [value]
        if isinstance(value, Denoiser):  # by what it adds to a network, or by a network of its own making
            tuned, ours = value.delta is not NOTHING, type(value.core).__module__.partition(".")[0] == "retouch"
            found = [*([value.delta] if tuned else []), *([] if ours else [value.core])]
        self._known.update({id(each): (each, maker) for each in found})

    def of_core(self, core: object) -> Node | None:
        """The stage that made a network, if one did."""
        return self._known.get(id(core), (None, None))[1]

    def of(self, part: Part, row: int = 0) -> Node | None:
        """The stage whose work evaluates a row of a group, or an item of a call."""
        match part:
            case Group():
                model = part.rows[row].model
                thing = model.delta if id(model.delta) in self._known else model.core
            case Call():
                thing = getattr(part.function, "__self__", None)
            case _:
                return None
        return self._known.get(id(thing), (None, None))[1]


@dataclass(slots=True)
class StageCare:
    """The surroundings of one stage.

    node: the stage in the graph; near: those whose values it takes.
    declared: what its result has to be.
    ports: the name of the port that each value goes to, in the order of the values.
    strange: whether it or a value that it takes comes from a plugin that is not built in.
    author: that plugin, if it made the stage itself; empty otherwise.
    tell: hears what it changed for the process.
    resized: hears of a picture that the author made at another size, and states none: [H, W] given and made.
    weights: those of all models of the run.
    makers: of what the run's rows are evaluated by.
    inner: questions about what the flows in its brackets made, which it answers for.
    """

    node: Node
    near: Sequence[Node]
    declared: Declared
    ports: Sequence[str]
    strange: bool
    author: str
    tell: Tell
    resized: Callable[[tuple[int, int], tuple[int, int]], None]
    weights: BaseWeights
    makers: Makers
    inner: list[Doubt] = field(default_factory=list[Doubt])  # of the results of its flows in brackets
    _given: list[_Given] = field(default_factory=list["_Given"])
    _sized: list[Image | Latents] = field(default_factory=list["Image | Latents"])
    _weighty: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])  # port, what has weights behind it
    _families: dict[int, tuple[FamilyGuard, Tensor]] = field(default_factory=dict[int, tuple[FamilyGuard, Tensor]])
    _suspects: dict[str, tuple[Node, Tensor]] = field(default_factory=dict[str, tuple[Node, Tensor]])  # [] each

    def handed(self, values: Sequence[Any]) -> list[Any]:
        """The values as the stage gets them: where strangers take part, copies that are nobody else's."""
        if not self.strange:
            # Of a large picture numbers are made once, not at each look, for a stage that works on all of it.
            types = {port.name: port.type for port in self.node.card.ports}
            pictures = [types.get(port) in ("Image", "SourceImage") for port in self.ports]
            parts = "parts" in self.node.card.facts
            return [
                whole(value) if picture and not parts else value
                for picture, value in zip(pictures, values, strict=True)
            ]
        values = [whole(value) for value in values]
        self._sized = [value for value in values if isinstance(value, Image | Latents)]
        made = [copied(value) for value in values]
        self._given = [
            _Given(port, copy_, original, copy_._version)
            for port, value, before in zip(self.ports, made, values, strict=True)
            for copy_, original in zip(tensors(value), tensors(before), strict=True)
            if copy_ is not original
        ]
        self._weighty = [pair for pair in zip(self.ports, values, strict=True) if self.weights.know(pair[1])]
        return made

    @contextmanager
    def around(self) -> Iterator[None]:
        """Surround one advance of it.  Raises WroteInPlace."""
        token, traced = _now.set(self), sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(_ORIGINS)
        try:
            with TURNS.alone(), one_process(), Unchanged(self.tell):
                yield
        except WrongAnswer as error:
            error.maker = error.maker or self.makers.of_core(error.core)
            raise
        finally:
            _now.reset(token)
            sys.set_coroutine_origin_tracking_depth(traced)
            ruined = [port for port, value in self._weighty if not self.weights.kept(value)]
        if ruined:
            raise WroteInPlace(ruined[0])
        for each in self._given:
            if each.tensor._version != each.version:
                raise WroteInPlace(each.port)

    @contextmanager
    def evaluating(self, others: Iterable[StageCare]) -> Iterator[None]:
        """Surround the evaluation of what it and others wait for: functions of theirs are called, and controls act."""
        everyone = [self.tell, *(each.tell for each in others)]
        with TURNS.alone(), one_process(), Unchanged(lambda what: [tell(what) for tell in everyone]):
            yield

    def answered(self, part: Part, answer: Any) -> None:
        """Hear what became of a part that it waited for: what a stage evaluates is another's work, perhaps."""
        if isinstance(part, Group):
            for i, (row, prediction) in enumerate(zip(part.rows, answer.predictions, strict=True)):
                if maker := self.makers.of(part, i):
                    self._note(maker, [row.x], [prediction.pair])
                elif guard := getattr(getattr(row.model.core, "net", None), "guard", None):
                    self._note_family(guard, [row.x], [prediction.pair])
        elif isinstance(part, Call) and (maker := self.makers.of(part)):
            self._note(maker, [part.item], tensors(answer))
        elif isinstance(part, Call) and (guard := getattr(getattr(part.function, "__self__", None), "guard", None)):
            self._note_family(guard, [part.item], tensors(answer))

    def _note_family(self, guard: FamilyGuard, given: Iterable[Tensor], made: Iterable[Tensor]) -> None:
        if (fine := no_worse(given, made)) is not None:
            known = self._families.get(id(guard))
            self._families[id(guard)] = guard, fine if known is None else known[1] & fine

    def _note(self, maker: Node, given: Iterable[Tensor], made: Iterable[Tensor]) -> None:
        """Keep whether a stage's function made what is not finite of what was; no device is waited for."""
        if (fine := no_worse(given, made)) is not None:
            known = self._suspects.get(maker.id)
            self._suspects[maker.id] = maker, fine if known is None else known[1] & fine

    def admitted(self, value: Any) -> tuple[Any, list[Doubt]]:
        """What others get of its result, and what is to be asked of the device.  Raises WrongResult."""
        try:
            doubts = list(self.declared.check(value))
            if self.author:
                check_size(value, self._sized)
                sizes = {each.size for each in self._sized if isinstance(each, Image)}
                unstated = isinstance(value, Image) and "height" not in self.node.card.facts
                if unstated and len(sizes) == 1 and {value.size} != sizes:
                    self.resized(sizes.pop(), value.size)
        except WrongResult as error:
            error.maker = error.maker or self._called()
            raise
        for doubt in (*doubts, *self.inner):
            if isinstance(doubt.error, NotFinite):  # of a flow in brackets, the rows were evaluated for this stage
                own = (*self._suspects.values(), *self.makers.controls(self.near))
                doubt.error.suspects = (*doubt.error.suspects, *own)
                doubt.error.families = (*doubt.error.families, *self._families.values())
        doubts = [*self.inner, *doubts, *self._written()]  # what a flow in brackets made wrong is told there
        self.inner.clear()
        if not self.author:
            return value, doubts
        # The author may still hold what it gave, and write there for the next picture.
        self.makers.know(value, self.node)
        note = self.makers.acted if isinstance(value, AttentionControl) else _noted
        return guarded(copied(whole(value)), self.node, note), doubts

    def _called(self) -> Node | None:
        """Whose function or model a stage of the engine's own was given, which itself makes what it declares."""
        makers = [maker for maker, _ in self._suspects.values()]
        return makers[0] if len(makers) == 1 and not self.author else None

    def _written(self) -> Iterator[Doubt]:
        # What was written past torch, through `.data` or numpy, has left the version as it was.
        for each in self._given:
            if not each.is_like():
                raise WroteInPlace(each.port)
            yield Doubt(_same(each.tensor, each.original), WroteInPlace(each.port))
        for port, value in self._weighty:
            if (fine := self.weights.probed(value)) is not None:
                yield Doubt(fine, WroteInPlace(port))
        self._given = []
        self._sized = []


def _noted(maker: Node, given: Iterable[Tensor], made: Iterable[Tensor]) -> None:
    if care := _now.get():
        care._note(maker, given, made)  # pyright: ignore[reportPrivateUsage]


class _Given(NamedTuple):
    """A tensor as a stage has it, and as it was handed out."""

    port: str
    tensor: Tensor  # of any shape
    original: Tensor  # of the same
    version: int

    def is_like(self) -> bool:
        """Whether it is still a tensor of that form."""
        one, other = self.tensor, self.original
        return one.shape == other.shape and one.dtype == other.dtype and one.device == other.device


def _same(one: Tensor, other: Tensor) -> Tensor:
    """Whether [] both hold the same numbers, those that are none included."""
    return ((one == other) | (one.isnan() & other.isnan())).all()


def copied(value: Any) -> Any:
    """The same value, with tensors of its own: fields of dataclasses, tuples, lists and mappings are seen through."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(copied, value))
    if isinstance(value, Mapping) and type(value) is dict:
        return {key: copied(each) for key, each in value.items()}
    if not is_dataclass(value) or isinstance(value, _SHARED):
        return value
    made = copy.copy(value)
    if isinstance(value, Denoiser):  # its core and its delta are what rows share a pass by
        return made
    for each in fields(value):
        before = getattr(value, each.name)
        if (after := copied(before)) is not before:
            object.__setattr__(made, each.name, after)
    return made
