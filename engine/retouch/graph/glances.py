"""What eyes take for a picture and its gradient, from headers alone: a glance, in rows of the denoiser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from retouch.graph.nodes import FromEngine
from retouch.graph.plan import Plan
from retouch.graph.ports import EYES
from retouch.models.files.headers import Stored, read_header
from retouch.models.info import ModelInfo
from retouch.models.single_file import NETWORKS

# A picture through an eye and back for its gradient, in passes there at the pace of a denoiser's convolutions: measured
# of the embedded eye, 20 beside the latent model and 26 beside that of pixels; large eyes are faster for their size.
GLANCE = 23
POSITIONS = "position_embedding"  # of a transformer: as many rows as it sees places
PLACES = 1000  # that a convolutional one works at on the mean, at 224 pixels
DOWN, UP = re.compile(r"down_blocks\.(\d+)\."), re.compile(r"up_blocks\.(\d+)\.")


def glance(plans: Sequence[Plan], model: ModelInfo, cells: tuple[int, int]) -> float:
    """What an eye takes for a picture and its gradient, in rows of the denoiser; of several eyes the mean."""
    row = sum(_row_work(model.files.tensors(part), cells) for part in model.known.parts if part in NETWORKS)
    works = [_picture_work(path) for path in sorted({path for one in plans for path in _eyes(one)})]
    return GLANCE * sum(works) / len(works) / row if works and row else 0.0


def _row_work(tensors: Mapping[str, Stored], cells: tuple[int, int]) -> float:
    """Products of one row: each number of a network at each cell, of a UNet's level at the cells that this one has."""
    levels = 1 + max((int(found[1]) for name in tensors if (found := DOWN.match(name))), default=0)
    if levels == 1:  # tokens of two cells a side
        return sum(each.numbers for each in tensors.values()) * cells[0] * cells[1] / 4
    work = 0.0
    for name, each in tensors.items():
        if found := DOWN.match(name):
            level = int(found[1])
        elif found := UP.match(name):
            level = levels - 1 - int(found[1])
        else:
            level = levels - 1 if name.startswith("mid_block.") else 0
        if not name.startswith(("time_embedding.", "class_embedding.", "add_embedding.")):
            work += each.numbers * cells[0] * cells[1] / 4**level
    return work


def _eyes(plan_: Plan) -> Iterator[str]:
    """The weights of networks that look at pictures."""
    for one in plan_.everything():
        for node in one.graph.nodes:
            given = [edge for _, edge in node.edges() if isinstance(edge, FromEngine)]
            if node.card.output in EYES:
                yield from (path for edge in given for _, path, _ in edge.settings.get("files", ()))


def _picture_work(path: str) -> float:
    """Products of one picture through an eye: each number of its picture tower, at each place that it sees."""
    tensors = read_header(Path(path)).tensors
    towers = [name for name in tensors if not name.startswith("text_")]
    places = [stored.shape[0] for name, stored in tensors.items() if name in towers and POSITIONS in name]
    return max(places, default=PLACES) * sum(tensors[name].numbers for name in towers)
