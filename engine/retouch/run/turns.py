"""A flow in brackets at work: its graph, run inside of the stage that it is given to, for any number of pictures.

Its stages wait as all others do.  What they ask for is handed on by the stage that awaits the flow, so that rows of
several pictures, of the stage itself and of everybody else share their calls.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from retouch.core.awaited.requests import Ask, as_ask
from retouch.core.errors import Unmet
from retouch.core.large.stored import whole
from retouch.core.turn import Turned
from retouch.core.values import Image, Mask, NoiseSource
from retouch.graph.nodes import GIVEN, FromEngine, FromNode, Graph, Node, NodeId
from retouch.run.strangers.care import StageCare, copied
from retouch.run.strangers.results import Declared
from retouch.run.strangers.wrong_results import Doubt, WrongResult

Sized = Callable[[FromEngine, Any], Any]
"""The value that the engine makes for latents of this size"""


@dataclass(frozen=True, slots=True)
class Ready:
    """All that a flow needs besides its pictures.

    supplied: what the engine gives, by node and place among its edges.
    sized: makes what the engine gives where the picture's size counts.
    values: of stages that depend on no picture, and were done once for everybody.
    doubts: is told what has to be asked of the device about results; the stage that runs the flow answers for it.
    strange: whether that stage may go on writing into what it gave.
    """

    graph: Graph
    function: Callable[[Node], Callable[..., Any]]
    supplied: Mapping[tuple[NodeId, int], Any]
    sized: Sized
    values: Mapping[NodeId, Any]
    care: Callable[[Node], StageCare]
    doubts: Callable[[Doubt], None]
    device: str
    strange: bool


class RunTurn:
    """The flow as its stage has it: see `retouch.core.turn.Turn`."""

    def __init__(self, ready: Ready, key: str = "") -> None:
        self._ready, self._key = ready, key

    def keyed(self, key: str) -> RunTurn:
        """The same flow, whose noise is apart from that of other calls."""
        return RunTurn(self._ready, _joined(self._key, key))

    async def __call__(
        self, image: Image, *, source: Image | None = None, mask: Mask | None = None, key: str = ""
    ) -> Turned:
        """Send a picture through the flow."""
        ready = self._ready
        given = {"image": image, "source": image if source is None else source, "mask": mask}
        for name, value in given.items():
            if value is not None:
                for doubt in Declared("Mask" if name == "mask" else "Image", ready.device).check(value):
                    ready.doubts(doubt)
        if mask is not None:
            # Asked for what it raises: of a mask of another size nothing is begun.
            mask.pixels(*image.size)
        if source is not None and source.size != image.size:
            form = f"a source of {list(image.size)} pixels, as its picture"
            raise WrongResult(form, f"one of {list(source.size)}")
        # Whoever gives them is a stranger's stage, and may go on writing into them while the flow works.
        if ready.strange:
            given = {name: copied(whole(value)) for name, value in given.items()}
        made = await _Walk(ready, given, _joined(self._key, key)).run()
        picture, *rest = (made[id_] for id_ in ready.graph.results)
        return Turned(picture, rest[0] if rest else None)


def _joined(outer: str, inner: str) -> str:
    return f"{outer}/{inner}" if outer and inner else outer or inner


@dataclass(slots=True)
class _Walk:
    """One picture on its way through a flow."""

    ready: Ready
    given: Mapping[str, Any]
    key: str
    made: dict[NodeId, Any] = field(default_factory=dict[NodeId, Any])
    wanted: set[NodeId] = field(default_factory=set[NodeId])
    unmet: dict[NodeId, Unmet] = field(default_factory=dict[NodeId, Unmet])
    way: Counter[NodeId] = field(default_factory=Counter[NodeId])  # of each choice: which is tried
    running: dict[NodeId, Coroutine[Any, Any, Any]] = field(default_factory=dict[NodeId, Coroutine[Any, Any, Any]])
    asks: dict[NodeId, Ask] = field(default_factory=dict[NodeId, Ask])
    cares: dict[NodeId, StageCare] = field(default_factory=dict[NodeId, StageCare])
    left: Counter[NodeId] = field(default_factory=Counter[NodeId])  # of each value: who has yet to take it

    @property
    def graph(self) -> Graph:
        return self.ready.graph

    async def run(self) -> Mapping[NodeId, Any]:
        """Drive all stages that the results need to their ends."""
        self.left = Counter([*self.graph.results, *(id_ for node in self.graph.nodes for id_ in node.feeds())])
        # Stages that no result needs are not run: the other ways of a choice, say.
        for id_ in self.graph.results:
            self._want(id_)
        try:
            while not all(id_ in self.made for id_ in self.graph.results):
                if self._start():
                    continue
                if not self.asks:
                    # Nothing began and nothing waits, so what is missing can only have been refused.
                    raise next(iter(self.unmet.values()))
                parts = [part for ask in self.asks.values() for part in ask.parts]
                try:
                    answers = iter(await Ask(parts))
                except BaseException as error:
                    _blame(error, self.graph.node(next(iter(self.asks))))
                    raise
                waiting, self.asks = self.asks, {}
                for id_, ask in waiting.items():
                    self._advance(self.graph.node(id_), list(islice(answers, len(ask.parts))))
        finally:
            for coroutine in self.running.values():
                coroutine.close()
        return self.made

    def _want(self, id_: NodeId) -> None:
        if id_ in self.wanted or id_ in self.ready.values:
            return
        self.wanted.add(id_)
        for feed in self._needs(self.graph.node(id_)):
            self._want(feed)

    def _needs(self, node: Node) -> Sequence[NodeId]:
        return node.ways()[self.way[node.id]] if node.card.family == "first" else tuple(node.feeds())

    def _start(self) -> bool:
        """Begin what has all that it takes; whether anything did, or became known to fail."""
        began = False
        for node in self.graph.nodes:
            id_ = node.id
            if id_ not in self.wanted or id_ in self.made or id_ in self.running or id_ in self.unmet:
                continue
            needs = self._needs(node)
            if missed := next((self.unmet[need] for need in needs if need in self.unmet), None):
                if node.card.family == "first" and self.way[node.id] + 1 < len(node.ways()):
                    self.way[node.id] += 1  # only now is the next way's work asked for
                    for need in self._needs(node):
                        self._want(need)
                else:
                    self.unmet[node.id] = missed
            elif all(need in self.made or need in self.ready.values for need in needs):
                self._begin(node)
            else:
                continue
            began = True
        return began

    def _begin(self, node: Node) -> None:
        if node.card.family == GIVEN:
            value = self.given[node.card.method]
            if value is None:
                raise WrongResult("its flow a mask, as it has one: turn(image, mask=…)", "none")
            self.made[node.id] = value
            return
        if node.card.family == "first":
            self.made[node.id] = self._of(self._needs(node)[0])
            return
        care = self.cares[node.id] = self.ready.care(node)
        edges = [edge for _, edge in node.edges()]
        try:
            values = care.handed([self._value(edge, node, place) for place, edge in enumerate(edges)])
            with care.around() if care.strange else nullcontext():
                gave = self.ready.function(node)(*values)
        except BaseException as error:
            self._failed(node, error)
            return
        for edge in edges:
            # Let go of a value that nobody else will take: what is large is not kept for longer than it is needed
            maker = edge if isinstance(edge, FromNode) else edge.sized_by
            if maker is not None:
                self.left[maker.id] -= 1
                if not self.left[maker.id] and maker.id in self.made:
                    self.made[maker.id] = None
        if inspect.iscoroutine(gave):
            self.running[node.id] = gave
            self._advance(node, None)
        else:
            self._end(node, gave)

    def _of(self, id_: NodeId) -> Any:
        return self.made[id_] if id_ in self.made else self.ready.values[id_]

    def _value(self, edge: FromNode | FromEngine, node: Node, place: int) -> Any:
        if isinstance(edge, FromNode):
            return self._of(edge.id)
        if edge.sized_by is not None:
            return self.ready.sized(edge, self._of(edge.sized_by.id))
        value = self.ready.supplied[node.id, place]
        if self.key and isinstance(value, NoiseSource):
            return replace(value, key=_joined(self.key, value.key))
        return value.keyed(self.key) if self.key and isinstance(value, RunTurn) else value

    def _advance(self, node: Node, replies: list[Any] | None) -> None:
        care, coroutine = self.cares[node.id], self.running[node.id]
        while True:
            try:
                with care.around() if care.strange else nullcontext():
                    ask = as_ask(coroutine.send(replies))
            except StopIteration as stop:
                del self.running[node.id]
                self._end(node, stop.value)
                return
            except BaseException as error:
                del self.running[node.id]
                self._failed(node, error)
                return
            if ask.parts:
                self.asks[node.id] = ask
                return
            # An ask without parts is answered at once; a call for it would have no rows.
            replies = []

    def _end(self, node: Node, value: Any) -> None:
        try:
            value, doubts = self.cares.pop(node.id).admitted(value)
        except BaseException as error:
            self._failed(node, error)
            return
        for doubt in doubts:
            _blame(doubt.error, node)
            self.ready.doubts(doubt)
        self.made[node.id] = value

    def _failed(self, node: Node, error: BaseException) -> None:
        _blame(error, node)
        if not isinstance(error, Unmet):
            raise error
        self.unmet[node.id] = error


def _blame(error: BaseException, node: Node) -> None:
    """Say whose fault it is, innermost first: the stage in the brackets, not the one that they belong to."""
    if blamed(error) is None:
        error.retouch_node = node  # pyright: ignore[reportAttributeAccessIssue]


def blamed(error: BaseException) -> Node | None:
    """The stage in brackets that failed, if it was one."""
    return getattr(error, "retouch_node", None)
