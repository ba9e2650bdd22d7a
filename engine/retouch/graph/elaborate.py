"""From a recipe's tree to graphs, one for each picture, and everything that is wrong at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from retouch.cards import StageCard
from retouch.graph.calls import Call
from retouch.graph.context import Context
from retouch.graph.defaults import Defaults
from retouch.graph.model import find_model
from retouch.graph.nodes import Graph, Node, Picture
from retouch.graph.results import check_results
from retouch.graph.scope import Flow, Scope
from retouch.graph.statements import Reader, Reading
from retouch.graph.turns import is_open
from retouch.graph.wiring import wire
from retouch.graph.world import World
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.page import normal
from retouch.lang.parse import parse

PUT_IN = ("open", "encode", "guide", "sample", "decode", "save")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a recipe comes to: graphs if it has no errors, and all diagnostics."""

    graphs: tuple[Graph, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(found for found in self.diagnostics if found.severity == "error")


def check(source: str | bytes, world: World) -> Checked:
    """Read a recipe and everything that it names, and make its graphs if all is well."""
    recipe, found = parse(source)
    text = normal(source if isinstance(source, str) else source.decode("utf-8", "replace"))
    report = Report()
    scope = Scope(recipe, text, world.settings, report)
    reading = Reader(world, scope, report).read(recipe)
    reading.broken |= bool(found)
    graphs = _elaborate(recipe, reading, scope, world, report)
    if not reading.broken:
        _unused(scope, report)
    diagnostics = tuple(sorted([*found, *_apart(report, recipe, found)], key=_place))
    failed = any(item.severity == "error" for item in diagnostics)
    return Checked(() if failed else graphs, diagnostics)


def _place(found: Diagnostic) -> tuple[str, int, str]:
    return (found.source or "", found.span.start, found.code)


def _apart(report: Report, recipe: s.Recipe, found: list[Diagnostic]) -> Iterator[Diagnostic]:
    """What is not only a consequence of text that could not be read."""
    bad = [node.span for node in s.walk(recipe.statements) if isinstance(node, s.Bad)]
    bad += [item.span for item in found]
    for item in report.sorted():
        if item.source or not any(b.start <= item.span.end and item.span.start <= b.end for b in bad):
            yield item


def _unused(scope: Scope, report: Report) -> None:
    for name, span in scope.unused():
        report.add("RT212", span, name=name)


def _elaborate(recipe: s.Recipe, reading: Reading, scope: Scope, world: World, report: Report) -> tuple[Graph, ...]:
    settings = {name: text for name, text in world.settings.items() if name not in scope.names}
    defaults = Defaults(reading.defaults, settings, report)
    if not reading.broken:
        defaults.check(_cards(reading, scope, world))
        _nothing(recipe, reading, report)
    model = find_model(reading.model, world, scope, report)
    if model is None or not reading.results or report.errors():
        return ()
    flows = {name: made.flow for name, made in scope.names.items() if made.is_flow}
    graphs: list[Graph] = []
    used: set[Path] = set()
    places: dict[str, s.Span] = {}
    for item, results in _by_picture(reading, world):
        alone = world.pictures[0] if len(world.pictures) == 1 else None
        outside = item if item in world.pictures else alone
        context = Context(world, model, defaults, report, item, outside, flows)
        graphs.append(_graph(context, results))
        places |= context.places
        used |= {outside.path} if outside and context.used_outside else set()
    _check_unused(world, used, report)
    check_results(graphs, places, world, report)
    return tuple(graphs)


def _cards(reading: Reading, scope: Scope, world: World) -> Iterator[StageCard]:
    flows = [flow for flow, _ in reading.results] + [name.flow for name in scope.names.values() if name.flow]
    yield from (call.card for flow in flows for call in flow)
    yield from (card for family in PUT_IN if (card := world.registry.default(family)))


def _nothing(recipe: s.Recipe, reading: Reading, report: Report) -> None:
    """A recipe of names only makes nothing."""
    bindings = [statement for statement in recipe.statements if isinstance(statement, s.Binding)]
    if bindings and not reading.results and not any(item.code == "RT221" for item in report.items):
        last = bindings[-1].name
        report.add("RT411", last.span, mend=f'{last.name} | save "out.png"')


def _by_picture(reading: Reading, world: World) -> Iterator[tuple[Picture | None, list[Flow]]]:
    """The flows that work on each picture: those of the command line in their order, then the recipe's own."""
    waiting = [flow for flow, _ in reading.results if _own(flow) is None]
    if waiting:
        yield from ((picture, waiting) for picture in world.pictures or (None,))
    own: defaultdict[str, list[Flow]] = defaultdict(list)
    for flow, _ in reading.results:
        if (path := _own(flow)) is not None:
            own[path].append(flow)
    for index, (path, flows) in enumerate(own.items()):
        caption = flows[0][0].given.get("caption")
        yield Picture((world.folder / path).resolve(), index, caption.value if caption else None), flows


def _own(flow: Flow) -> str | None:
    """The path that a flow opens by itself."""
    given = flow[0].given.get("path") if flow[0].card.family == "open" else None
    return given.value if given else None


def _graph(context: Context, results: Iterable[Flow]) -> Graph:
    for calls in results:
        wire(context, _saved(calls, context))
    builder = context.builder
    sinks = builder.sinks()
    nodes = builder.needed(sinks)
    _check_lost(context, nodes)
    return Graph(nodes, tuple(sinks), context.item, context.model)


def _saved(calls: Flow, context: Context) -> Flow:
    """The flow with a `save` at its end, if it has none: a flow without a name is a result."""
    last = calls[-1].card
    if last.output is None:
        return calls
    registry = context.world.registry
    card = context.default("save")
    if last.output == "Mask" and not is_open(calls):
        card = registry.find("save", "mask") or card
    why = "a flow without a name is a result"
    return (*calls, Call(card, calls[-1].span, put_in=why)) if card else calls


def _check_lost(context: Context, nodes: tuple[Node, ...]) -> None:
    """A value that is replaced unread is an error; work that nothing needs is a warning."""
    needed = {node.id for node in nodes}
    lost = {lost.edge.id: lost for lost in context.lost}
    for id_, node in context.builder.nodes.items():
        if id_ in needed or node.put_in:
            continue
        if id_ in lost:
            gone = lost[id_]
            mend = f"{node.card.family} union other=…" if gone.type == "Mask" else "as one stage"
            notes = (("replaced here", gone.by),)
            context.report.add("RT302", gone.span, type=gone.type.lower(), mend=mend, notes=notes)
        else:
            label = f"nothing reads what '{node.card.name}' makes"
            context.report.add("RT221", node.span, label=label, mend="use it in a later stage, or delete it")


def _check_unused(world: World, used: set[Path], report: Report) -> None:
    for picture in world.pictures:
        if picture.known and picture.path not in used:
            report.add("RT409", s.NOWHERE, source=str(picture.path), path=picture.path.name)
