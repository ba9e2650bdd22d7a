"""A recipe in the making: each result in each of its variants, wired for each picture, and then checked as a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.check.blame import refused, settle
from retouch.check.extents import check_extents
from retouch.check.masks import check_masks
from retouch.check.promises import check_promises
from retouch.check.prompts import check_prompts
from retouch.check.reading.calls import CallReader, StageCall
from retouch.check.reading.captions import normal_caption
from retouch.check.reading.defs import unbound
from retouch.check.reading.environment import SOMETHING, Environment
from retouch.check.reading.family_defaults import FamilyDefaults
from retouch.check.reading.files import Files, fields_of
from retouch.check.reading.flows import Flow, FlowReader
from retouch.check.reading.model_stage import read_model
from retouch.check.reading.models import Models
from retouch.check.reading.names import Closure, Names, NameScope
from retouch.check.reading.statements import StatementsRead
from retouch.check.reading.variants import Choices
from retouch.check.sizes import check_sizes, check_windowed
from retouch.check.trained import check_trained
from retouch.check.unchanged import check_unchanged
from retouch.check.wiring.context import Context
from retouch.check.wiring.endings import possible
from retouch.check.wiring.finished import finished
from retouch.check.wiring.outputs import check_results
from retouch.check.wiring.precedence import Precedence
from retouch.check.wiring.turns import is_open
from retouch.check.wiring.wiring import wire
from retouch.graph.limits import MOST_VARIANTS
from retouch.graph.nodes import Graph, Picture
from retouch.graph.ports import MADE_OR_SUPPLIED, PICTURE
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.paths import resolved
from retouch.plugins.signatures import StageCard

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo

PUT_IN = ("open", "encode", "guide", "sample", "decode", "save")


class Elaboration:
    """Makes all graphs of a recipe; mistakes go into the report."""

    def __init__(
        self,
        world: Environment,
        names: Names,
        reading: StatementsRead,
        choices: Choices,
        files: Files,
        report: Report,
        defaults: FamilyDefaults,
    ) -> None:
        self._world = world
        self._names = names
        self._reading = reading
        self._choices = choices
        self._report = report
        self._flows = FlowReader(world.registry, files, report)
        self._models = Models(world, report)
        self._defaults = defaults
        self._precedence = Precedence(defaults.lines, defaults.settings, choices, report)
        self._contexts: dict[Path | None, Context] = {}
        self._taken: defaultdict[Path, set[s.Span]] = defaultdict(set)  # by picture, the results that it goes into
        self._named = list(report.own)  # what was found before
        self._unnamed = refused(report)  # pictures that were told to be unusable as they were named

    def run(self, recipe: s.RecipeSyntax) -> tuple[Graph, ...]:
        """Return all graphs, those of the command line's pictures first."""
        for result in self._reading.results:
            self._result(result)
        if not self._reading.results:
            self._model()
        self._settle()
        # A picture that no flow takes is no exception to anything, so what is wrong with it is told of all.
        taken = {str(context.item.path) for context in self._contexts.values() if context.item}
        settle(self._report, [{path} for found in self._report.own for path in found.about if path not in taken])
        self._read_the_rest()
        whole = not (self._reading.broken or self._flows.broken)
        if whole:  # a part that could not be read may use the name or have the option
            self._precedence.check(self._cards(), self._reading.theirs)
            self._nothing(recipe)
            for name, made in self._names.unused():
                if self._reading.results or not made.made:  # the defs of a library are for others
                    self._report.add("RT212", made.span, name=name)
        if self._report.errors():
            return ()
        order = {picture.path: i for i, picture in enumerate(self._world.pictures)}
        contexts = sorted(
            self._contexts.values(), key=lambda c: order.get(c.item.path if c.item else Path(), len(order))
        )
        contexts = [context for context in contexts if not self._is_refused(context.item)]
        graphs = [self._graph(context) for context in contexts]
        if whole:
            self._check_unused()
        writers = [writer for context in contexts for writer in context.writers]
        check_results(graphs, writers, self._world, self._report)
        check_masks(graphs, self._world, self._report)
        if whole:
            texts = [node.value for node in s.walk(recipe.statements) if isinstance(node, s.Text)]
            fields = {name for text in texts for name in fields_of(text)}
            self._precedence.check_read([node for graph in graphs for node in graph.everything()], fields)
        for graph, context in zip(graphs, contexts, strict=True):
            with context.looked_at():
                check_sizes(graph, context, self._report)
                check_windowed(graph, self._report)
                check_extents(graph, self._world, self._report)
                check_trained(graph, self._world, self._report)
                check_unchanged(graph, self._report)
                check_promises(graph, self._report)
                check_prompts(graph, self._models.reader, self._report)
        self._settle(graph.item for graph in graphs)
        return tuple(graph for graph in graphs if not self._is_refused(graph.item))

    @property
    def refused(self) -> dict[Picture, tuple[Picture, ...]]:
        """The pictures that have mistakes of their own, in the order of a run, with those that go beside them."""
        named = (*self._world.pictures, *(context.item for context in self._contexts.values()))
        pictures = list(filter(None, dict.fromkeys(named)))
        left = [picture for picture in pictures if not self._is_refused(picture)]
        return {
            picture: tuple(other for other in left if self._taken[other.path] == self._taken[picture.path])
            for picture in pictures
            if self._is_refused(picture)
        }

    def _is_refused(self, picture: Picture | None) -> bool:
        return picture is not None and str(picture.path) in refused(self._report)

    def _graph(self, context: Context) -> Graph:
        with context.looked_at():
            made = finished(context, context.builder.sinks())
        used = {node.card.name for node in made.everything()}
        chosen = context.world.registry.chosen.items()
        origins = self._defaults.origins
        return replace(made, defaults={f: f"'{c.name}' ({origins[f]})" for f, c in chosen if c.name in used})

    def _settle(self, pictures: Iterable[Picture | None] | None = None) -> None:
        """Tell mistakes of the recipe from those of single pictures.  pictures: those that are left, or all."""
        items = [context.item for context in self._contexts.values()] if pictures is None else list(pictures)
        usable = [item for item in items if item and str(item.path) not in self._unnamed]
        if usable:  # what follows from a picture that is not there is no news
            self._report.own = [f for f in self._report.own if f in self._named or not self._unnamed & {*f.about}]
        groups: defaultdict[frozenset[s.Span], set[str]] = defaultdict(set)
        for item in usable or filter(None, items):
            groups[frozenset(self._taken[item.path])].add(str(item.path))
        settle(self._report, groups.values())

    # ------------------------------------------------------------ results

    def _result(self, result: Closure) -> None:
        for count in self._choices.ways():
            if count >= MOST_VARIANTS:
                what, mend = "variants of this result", "try fewer values at once"
                total = max(self._choices.product, MOST_VARIANTS + 1)
                self._report.add("RT404", result.flow.span, what=what, count=total, limit=MOST_VARIANTS, mend=mend)
                return
            model = self._model()
            flow = self._flows.read(result)
            if flow is None or model is None:
                continue
            if all(isinstance(part, StageCall) and part.card.family in ("open", "model") for part in flow):
                mend = "go on with '|', or give it a name"
                self._report.add("RT221", result.flow.span, label="it only opens a picture", mend=mend)
                continue
            for context in self._pictures(flow, model):
                with context.looked_at():
                    wire(context, _saved(flow, context))
                if context.item:
                    self._taken[context.item.path].add(result.flow.span)
            # After the first the axes are known, so that too many are told before they are all read.
            if count == 0 and self._choices.product > MOST_VARIANTS:
                what, mend = "variants of this result", "try fewer values at once"
                total = self._choices.product
                self._report.add("RT404", result.flow.span, what=what, count=total, limit=MOST_VARIANTS, mend=mend)
                return

    def _model(self) -> ModelInfo | None:
        """Return the model that flows begin with."""
        if self._reading.model is None:
            return self._models.default(None)
        stage, scope = self._reading.model
        reader = CallReader(self._world.registry, self._flows.files, self._report)
        call = read_model(reader, self._flows.files, stage, scope)
        if call is None:
            return None
        if "name" not in call.given:
            self._report.add("RT223", stage.span, stage="model", what="needs a name", mend='write model "storybook"')
            return None
        return self._models.default(call.given)

    def _pictures(self, flow: Flow, model: ModelInfo) -> Iterator[Context]:
        """Return the surroundings of each picture that a flow works on: its own, or those of the command line."""
        opened = next((part for part in flow if isinstance(part, StageCall) and part.card.family != "model"), None)
        path = opened.given.get("path") if opened and opened.card.family == "open" else None
        if path is None:
            for picture in self._world.pictures or (None,):
                yield self._context(picture, picture, model)
            return
        place = resolved(self._world.folder / path.value)
        alone = self._world.pictures[0] if len(self._world.pictures) == 1 else None
        own = [context for context in self._contexts.values() if context.item not in self._world.pictures]
        given = opened.given.get("caption") if opened else None
        caption = normal_caption(given.value) if given else None
        known = next((context.item for context in own if context.item and context.item.path == place), None)
        yield self._context(known or Picture(place, len(own), caption), alone, model)

    def _context(self, item: Picture | None, outside: Picture | None, model: ModelInfo) -> Context:
        key = item.path if item else None
        if key not in self._contexts:
            self._contexts[key] = Context(
                self._world,
                model,
                self._models,
                self._precedence,
                self._choices,
                self._flows,
                self._report,
                item,
                outside,
            )
        context = self._contexts[key]
        context.model, context.outside = model, outside
        return context

    # ------------------------------------------------------------ what no result reads

    def _read_the_rest(self) -> None:
        """Flows and defs that nothing uses are read all the same, since a mistake in them is one."""
        for name in list(self._names.all.values()):
            if name.flow and name.flow.flow.span not in self._flows.read_flows:
                self._read_only(name.flow)
            elif name.made and name.made.line.body.span not in self._flows.read_flows and not name.span.file:
                scope = NameScope(name.made.names, name.made.line.span.start, self._choices)
                self._read_only(unbound(name.made, scope))

    def _read_only(self, flow: Closure) -> None:
        for count in self._choices.ways():
            if count >= MOST_VARIANTS:
                return
            self._flows.read(flow)

    def _cards(self) -> Iterator[StageCard]:
        registry = self._world.registry
        yield from self._flows.cards.values()
        yield from (card for family in PUT_IN if (card := registry.default(family)))

    def _nothing(self, recipe: s.RecipeSyntax) -> None:
        """Report a recipe of names only, which makes nothing."""
        bindings = [statement for statement in recipe.statements if isinstance(statement, s.Binding)]
        if self._reading.results:
            return
        if bindings:
            last = bindings[-1].name
            self._report.add("RT411", last.span, mend=f'{last.name} | save "out.png"')
        elif self._world.pictures != (SOMETHING,):  # a library is right as it is, as long as nobody runs it
            defs = [statement for statement in recipe.statements if isinstance(statement, s.Def)]
            calls = [f"{each.name.name}({', '.join(p.name.name for p in each.params)})" for each in defs]
            mend = f"{calls[-1]}, here or in a recipe that uses this file" if calls else 'invert ddim "cat"->"dog"'
            self._report.add("RT411", defs[-1].name.span if defs else s.NOWHERE, mend=mend)

    def _check_unused(self) -> None:
        """Report pictures that no flow takes; a flow that could not be read may be the one that would."""
        used = {context.given.path for context in self._contexts.values() if context.given}
        for picture in self._world.pictures:
            if picture.known and picture.path not in used:
                self._report.add("RT409", s.NOWHERE, source=picture.called or str(picture.path), path=picture.told)


def _saved(flow: Flow, context: Context) -> Flow:
    """Return the flow with a `save` at its end, if it has none: a flow without a name is a result."""
    last = flow[-1]
    output = last.card.output if isinstance(last, StageCall) else "Trajectory"
    if output is None and not (isinstance(last, StageCall) and last.card.family == "model"):
        return flow
    registry = context.world.registry
    card = context.default("save")
    # No picture: then a stage that writes values of this very type.
    plain = output in MADE_OR_SUPPLIED or output in (*PICTURE, "Mask")
    cards = [each for each in registry.cards if each.family == "save" and not plain]
    savers = [each for each in cards if any(port.type == output and not port.optional for port in each.ports)]
    if savers and isinstance(last, StageCall) and not is_open(flow):
        ending = next(iter(possible(savers[0])), "")
        what = f"makes a {output}, and no file is named for it"
        mend = f'end it with | {savers[0].name} "out{ending}"'
        context.report.add("RT223", last.span, stage=last.card.name, what=what, mend=mend)
        return flow
    if output == "Mask" and not is_open(flow):
        card = registry.find("save", "mask") or card
    why = "a flow without a name is a result"
    return (*flow, StageCall(card, last.span, put_in=why)) if card else flow
