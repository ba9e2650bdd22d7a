"""What a graph costs: denoiser rows of each stage, told from the cards alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.graph.flows import makes_a_mask, resizes
from retouch.graph.keys import of_no_picture
from retouch.graph.limits import ROWS_A_CALL
from retouch.graph.nodes import FromEngine, FromNode, Graph, Input, Node
from retouch.graph.panes import windows, windows_of
from retouch.graph.ports import TRAINING
from retouch.graph.windows import acting
from retouch.models.pretrained import layers_of
from retouch.plugins import cost
from retouch.plugins.signatures import Port

if TYPE_CHECKING:
    pass

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph with the rows of each node as (least, most), and what is known of each node's value.

    inside: of the rows of a node with flows in brackets, those of what depends on no picture there, by content key.
    """

    graph: Graph
    rows: Mapping[str, cost.Rows]
    facts: Mapping[str, Facts]
    inside: Mapping[str, Mapping[str, cost.Rows]]

    @property
    def total(self) -> cost.Rows:
        return total([self])

    @property
    def once(self) -> Mapping[str, cost.Rows]:
        """As a flow: the rows of what depends on no picture, by content key, however many are sent through."""
        own = {key: self.rows[id_] for id_, key in of_no_picture(self.graph).items() if self.rows[id_][1]}
        return {key: rows for each in self.inside.values() for key, rows in each.items()} | own

    @property
    def each_time(self) -> cost.Rows:
        """As a flow: the rows of each picture that is sent through."""
        return _less(self.total, summed(self.once.values()))

    def everything(self) -> Iterator[Plan]:
        """Return it, and the plans of all flows in brackets, each once through."""
        yield self
        for node in self.graph.nodes:
            for turn in node.turns():
                yield from plan(turn).everything()


def total(plans: Sequence[Plan]) -> cost.Rows:
    """Rows of all pictures, (least, most); what depends on none of them is done once."""
    once, each = dict[str, cost.Rows](), list[cost.Rows]()
    for plan in plans:
        shared = of_no_picture(plan.graph)
        for id_, rows in plan.rows.items():
            inside = {shared[id_]: rows} if id_ in shared else plan.inside.get(id_, {})
            once |= inside
            each.append(_less(rows, summed(inside.values())))
    return summed([*each, *once.values()])


def summed(rows: Iterable[cost.Rows]) -> cost.Rows:
    """All of them, (least, most)."""
    listed = list(rows)
    return sum(least for least, _ in listed), sum(most for _, most in listed)


def _less(rows: cost.Rows, others: cost.Rows) -> cost.Rows:
    return rows[0] - others[0], rows[1] - others[1]


def calls(plans: Sequence[Plan]) -> cost.Rows:
    """Calls of the denoiser: at least as many as full ones would take, at most one for each row."""
    least, most = total(plans)
    return math.ceil(least / ROWS_A_CALL), most


def at_once(plan: Plan) -> int:
    """Rows of one picture that may wait together: those of one step, of all stages that stand as deep in the graph.

    Of a stage that asks again until something holds, what it asks at least; of a mask all that it asks, which it asks
    at one level.
    """
    depth: dict[str, int] = {}
    waiting: dict[int, int] = {}
    for node in plan.graph.nodes:
        depth[node.id] = 1 + max((depth[id_] for id_ in node.feeds()), default=0)
        least, most = plan.rows[node.id]
        rows = math.ceil((least or most) / (1 if node.card.family == "mask" else _steps(node, plan.facts)))
        waiting[depth[node.id]] = waiting.get(depth[node.id], 0) + rows
    return max(waiting.values(), default=0)


def _steps(node: Node, facts: Mapping[str, Facts]) -> int:
    """How many times a stage asks, one after the other."""
    known = [facts[id_] for id_ in (node.id, *node.feeds())]
    known += [fact for turn in node.turns() for fact in plan(turn).facts.values()]
    return max((int(each.get("learning") or each.get("walked") or each.get("steps") or 1) for each in known), default=1)


class BadCard(Exception):
    """A stage whose card cannot be reckoned with under the options that a recipe gives it."""

    def __init__(self, node: Node, said: cost.Unsaid) -> None:
        super().__init__(f"'{node.card.name}': {said}")
        self.node, self.said = node, said


@contextmanager
def reckoning(node: Node) -> Iterator[None]:
    """Raise BadCard for what an expression of this node's card does not say."""
    try:
        yield
    except cost.Unsaid as said:
        raise BadCard(node, said) from said


def plan(graph: Graph) -> Plan:
    """Add up what each stage says that it costs.  Raises BadCard."""
    dearest = _reckoned(graph, max)
    if all(node.card.family != "first" for node in graph.nodes):
        return dearest
    least, most = _reckoned(graph, min).rows, dearest.rows
    rows = {id_: (least[id_][0], most[id_][1]) for id_ in most}
    return Plan(graph, rows, dearest.facts, dearest.inside)


def _reckoned(graph: Graph, chosen: Callable[[Iterable[Any]], Any]) -> Plan:
    """Add it up where choices come to the dearest of their ways, or to the cheapest.  chosen: max or min."""
    rows: dict[str, cost.Rows] = {}
    facts: dict[str, Facts] = {}
    inside: dict[str, Mapping[str, cost.Rows]] = {}
    sure, nodes = _sure(graph), {node.id: node for node in graph.nodes}
    for node in graph.nodes:
        if node.card.family == "first":
            # At most what any way may cost; a trajectory that is pinned in some alone costs as one that is not.
            ways = [facts[way[0]] for way in node.ways()]
            names = {name for one in ways for name in one} - {"replays"}
            opposite = min if chosen is max else max
            pick = {name: opposite if name == "pinned" else chosen for name in names}
            found = {name: pick[name](one.get(name, 0) for one in ways) for name in names}
            found |= {"replays": _by_all(ways)} if "replays" in names else {}
            rows[node.id], facts[node.id] = (0, 0), found
            continue
        scope = of_model(node, graph) | scope_of(acting(node, nodes, facts), facts)
        with reckoning(node):
            (least, most), stated = _rows(node, scope), cost.facts_of(node.card, scope)
        few, many = _networks(node, facts)
        seen, cut = windows_of(node, facts), bool(stated.pop("cut", 0))
        multiple = _models_of(node, graph)[0].multiple if seen else 1
        fewest, most_windows = windows(node, seen, scope, multiple, cut=cut)
        begun = int(node.id in sure)
        of_all = {key: rows for _, turn in _flows(node) for key, rows in plan(turn).once.items()}
        inside[node.id] = {key: (begun * little, much) for key, (little, much) in of_all.items()}
        little, much = summed(inside[node.id].values())
        rows[node.id] = (begun * least * few * fewest + little, most * many * most_windows + much)
        # What a stage made by a schedule has its number of steps, unless the stage says otherwise.
        made_with = {"steps": scope["steps"]} if node.card.takes("Schedule") and "steps" in scope else {}
        led = _led(node, facts)
        # All losses are one gradient, which goes as deep as the deepest of them.
        deepest = {"gradient": max(led["gradient"], stated.get("gradient", 0))} if "gradient" in led else {}
        if "seen" in led:
            deepest["seen"] = led["seen"] + stated.get("seen", 0)
        mixed = {"networks_least": few, "networks": many} if node.card.output == "Denoiser" else {}
        mixed |= seen if node.card.output == "Denoiser" else {}
        if node.card.takes("TrainingLog") and "led" in stated:  # each row of a tuning, too, is one of each window
            stated["led"] = stated["led"] * most_windows
        facts[node.id] = made_with | _size(node, graph, scope) | led | mixed | stated | deepest
    return Plan(graph, rows, facts, inside)


def _rows(node: Node, scope: dict[str, Any]) -> cost.Rows:
    """Rows of a stage as (least, most), by what the flows in its brackets cost each time."""
    flows = {port.name: plan(turn).each_time for port, turn in _flows(node)}
    if not flows:
        return cost.rows_of(node.card, scope)
    least, most = (cost.rows_of(node.card, scope | {name: each[i] for name, each in flows.items()}) for i in (0, 1))
    return least[0], most[1]


def _flows(node: Node) -> Iterator[tuple[Port, Graph]]:
    """The flows that a stage is given as values, each with its port."""
    for port in node.card.ports:
        given = node.inputs.get(port.name)
        if isinstance(given, FromEngine) and given.turn is not None:
            yield port, given.turn


def _networks(node: Node, facts: Mapping[str, Facts]) -> tuple[int, int]:
    """How many networks the denoiser that a node asks is a mix of, (least, most): each is a row of its own."""
    given = [node.inputs.get(port.name) for port in node.card.ports if port.type == "Denoiser"]
    made = [facts[each.id] for each in given if isinstance(each, FromNode)]
    few, many = (max((each.get(name, 1) for each in made), default=1) for name in ("networks_least", "networks"))
    return few, many


def _sure(graph: Graph) -> set[str]:
    """Return the nodes that are done whatever a choice comes to: of its ways only the first is sure to be begun."""
    nodes = {node.id: node for node in graph.nodes}
    sure, waiting = set[str](), list(graph.results)
    while waiting:
        id_ = waiting.pop()
        if id_ not in sure:
            sure.add(id_)
            node = nodes[id_]
            waiting += node.ways()[0] if node.card.family == "first" else node.feeds()
    return sure


def _led(node: Node, facts: Mapping[str, Facts]) -> dict[str, Any]:
    """What the guidance states that this one leads: it holds for both unless this one says otherwise, windows aside."""
    if node.card.output != "Guidance":
        return {}
    given = [node.inputs.get(port.name) for port in node.card.ports if port.type == "Guidance"]
    passed = [facts[edge.id] for edge in given if isinstance(edge, FromNode)]
    return {name: value for each in passed for name, value in each.items() if name != "during"}


def _by_all(ways: Sequence[Facts]) -> str:
    """The solvers that walk whatever any of the ways recorded."""
    said = [str(way.get("replays") or "").split() for way in ways]
    known = [each for each in said if each != ["any"]]
    return " ".join(name for name in (known or said)[0] if all(name in each for each in known))


def scope_of(node: Node, facts: Mapping[str, Facts]) -> dict[str, Any]:
    """Return the names that a node's costs may use; its own options win."""
    scope: dict[str, Any] = {}
    for port in node.card.ports:
        if (given := node.inputs.get(port.name)) is not None:
            for name, value in _facts(given, facts).items():
                scope[name] = scope.get(name, 0) + value if port.many else scope.get(name, value)
        scope.setdefault(port.name, len(given) if isinstance(given, tuple) else int(given is not None))
        if port.type == "Mask" and isinstance(given, FromNode):  # a stage of several says of each what it is
            scope |= {f"{port.name}_{what}": facts[given.id].get(what, 0) for what in ("empty", "full")}
    for port, turn in _flows(node):
        scope[port.name] = plan(turn).each_time[1]
        scope |= {f"{port.name}_mask": int(makes_a_mask(turn)), f"{port.name}_resizes": int(resizes(turn))}
    for option in node.card.options:
        scope[option.name] = scope[option.parameter] = node.options.get(option.name)
    return scope


def of_model(node: Node, graph: Graph) -> dict[str, Any]:
    """Return what a node's costs and needs may say of its model, see `cost.ENGINE`."""
    models = _models_of(node, graph)
    distilled = any("guidance" in model.known.told for model in models)
    trained = min(model.grid.trained if model.grid else 0 for model in models)
    convolves = all(any(site.name.startswith("down_blocks") for site in model.sites) for model in models)
    cross = min(sum(site.kind == "cross" and not site.joint for site in model.sites) for model in models)
    reads = all(model.known.reads_words for model in models)
    known = {"distilled": int(distilled), "trained": trained, "convolves": int(convolves)}
    return known | {"side": models[0].trained_size, "reads_words": int(reads), "cross_sites": cross}


def _models_of(node: Node, graph: Graph) -> list[Any]:
    given = [edge.settings.get("model") for edge in node.inputs.values() if isinstance(edge, FromEngine)]
    return [graph.models.get(name, graph.model) for name in given if isinstance(name, str)] or [graph.model]


def _size(node: Node, graph: Graph, scope: Mapping[str, Any]) -> dict[str, int]:
    """Height and width of the picture that a stage makes, as far as they are known: of one of the same size."""
    if node.card.family == "open":
        from retouch import pictures

        if graph.item is not None and not graph.item.known:
            return {}
        try:
            info = pictures.inspect(str(node.options.get("path")))
        except (pictures.Unreadable, OSError):
            return {}
        width, height = pictures.scaled_size((info.width, info.height), int(node.options.get("size") or 0) or None)
        return {"height": height, "width": width}
    # A paste makes the picture that was cropped, so the window's size is not its.
    keeps = node.card.output in ("Image", "Latents", "Trajectory", TRAINING) and node.card.family != "paste"
    return {name: scope[name] for name in _SIZE if name in scope} if keeps else {}


_SIZE = ("height", "width", "about")


def _facts(given: Input, facts: Mapping[str, Facts]) -> dict[str, Any]:
    """Return the facts of the values in a port: the engine's settings, a stage's facts, sums over many stages."""
    match given:
        case FromEngine(settings=settings):
            if given.type == "Pretrained" and "folder" in settings:
                return {"layers": layers_of(Path(settings["folder"]))}
            words = {f"{name}_words": len(settings[name].split()) for name in ("source", "target") if name in settings}
            if "source" in settings and "target" in settings:
                source, target = (settings[name].casefold().split() for name in ("source", "target"))
                words["alike"] = int(source == target)
            return words | {name: value for name, value in settings.items() if isinstance(value, int | float)}
        case FromNode(id=id_):
            return dict(facts[id_])
        case edges:
            names = {name for edge in edges for name in facts[edge.id]} - {"during"}  # windows do not add up
            return {name: sum(facts[edge.id].get(name, 0) for edge in edges) for name in names}
