"""Pictures that are walked whole at far more pixels than their model was trained on, which then draws things twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from retouch.check.extents import extents_of, model_of
from retouch.check.reading.environment import Environment
from retouch.check.sizes import windowed
from retouch.graph.nodes import Graph
from retouch.lang.diagnostics import Report
from retouch.models.errors import BrokenModel, UnknownModel

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo

WALKING = ("invert", "sample", "distil")  # families that ask the network of the whole picture
FAR = 1.5  # times the side that it was trained on: up to there most models draw one thing where one is meant


def check_trained(graph: Graph, world: Environment, report: Report) -> None:
    """Tell of each such picture or window once."""
    extents, told = extents_of(graph, world), set[str]()
    for node in graph.nodes:
        extent, model = extents[node.id], model_of(node, graph)
        trained = model.trained_size
        if node.card.family not in WALKING or not node.card.takes("Denoiser") or extent is None:
            continue
        longer, promised = extent.longer or 0, model.largest_side > 2 * trained  # its card says that it takes more
        if extent.node in told or promised or windowed(graph, node):
            continue
        if not FAR * trained < longer <= model.largest_side:
            continue
        told.add(extent.node)
        begun = graph.node(extent.node)
        mends = [f"take --model {name}" for name in _fitting(model, longer, world)]
        if begun.card.family == "crop":
            mends.append(f"write size={trained}")
        else:
            mends.append(f"let it be made smaller: open … size={trained}")
            mends.append("edit a part: 'mask … | crop' before that and 'paste' behind")
        facts = {"longer": longer, "model": model.name, "trained": trained}
        report.add("RT563", node.span, **facts, mend="; or ".join(mends))


def _fitting(model: ModelInfo, longer: int, world: Environment) -> Iterator[str]:
    """Models that come with plugins, as this one does, are told as much, and were trained at such a size."""
    from retouch.models import catalog

    names = catalog.names()
    for name in names if model.name in names else ():
        with suppress(BrokenModel, UnknownModel):
            other = world.find_model(name, None)
            alike = (other.known.reads_words, other.known.classes) == (model.known.reads_words, model.known.classes)
            if alike and longer / FAR <= other.trained_size <= longer * FAR:
                yield name
