"""What a plan comes to in bytes and seconds, from headers, configs and pictures alone.

Weights are exact: the numbers that headers count, in the type of the run.  What work needs beside them is told by the
model's family (`Described.working`), and how many rows are in a pass by `plan.at_once`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retouch.graph.cells import cells_of, row_cells_of
from retouch.graph.glances import glance
from retouch.graph.keys import of_no_picture
from retouch.graph.limits import EXACT_ROWS, ROWS_A_CALL
from retouch.graph.nodes import FromEngine, Node
from retouch.graph.plan import Facts, Plan, at_once, plan, summed, total
from retouch.models import rates
from retouch.models.files.headers import read_header
from retouch.models.info import ModelInfo
from retouch.models.large import LARGE
from retouch.models.own_weights import numbers_of
from retouch.models.single_file import NETWORKS
from retouch.models.vae_tiles import Tiling, VaeTiles

PROCESS = 420_000_000  # bytes that Python, torch and the libraries take on a CPU
KEPT = 350_000_000  # of what loading frees, the most that the allocator was seen to keep
# Of rows without, in time: a row whose gradient is asked, and a decoded picture there and back (engine/README.md).
LOOK, LED_PICTURE_KEEPS = 2.5, 5.5
# Likewise, of a row whose gradient is asked by latents or words, and by weights: in time and in memory, by (all that it
# keeps, blocks that are done again).
LED_ROW, LED_ROW_KEEPS = (2.1, 2.8), (5, 4.5)
TUNED_ROW, TUNED_ROW_KEEPS = (3.1, 3.8), (13, 4.5)
# Numbers in float32 for each pixel of a picture that is seen in tiles: the picture, what its tiles add up to, their
# weights, and the result.
TILED_PIXEL = 10
Fact = Callable[[Node, Facts], int]
# Bytes of a number.
ITEM = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one model: bytes by part and at the peak, and seconds where a rate was measured."""

    model: str
    dtype: str
    cells: tuple[int, int] | None  # of the largest picture; None where it is not known
    weights: Mapping[str, int]
    row: int | None  # bytes of one row in a pass; None where none was measured of such a network
    picture: int | None  # bytes of one picture in the codec, likewise
    rows: int  # of the largest call at most
    pictures: int
    rate: rates.Rate | None
    seconds: tuple[float, float] | None
    led: int = 0  # rows whose gradient is asked
    looked: int = 0  # pictures that are decoded with their gradient
    glances: int = 0  # pictures that eyes are shown
    as_rows: float = 0.0  # what all those cost, in rows of the denoiser
    guided: int = 0  # of the rows whose gradient is asked, those of guidance
    tuned: int = 0  # rows of one step of a tuning
    again: bool = False  # whether a gradient's way back does blocks again

    @property
    def learnt(self) -> int:
        """Rows whose gradient tunings ask."""
        return self.led - self.guided

    @property
    def process(self) -> int:
        """Bytes of the libraries, and what their allocator keeps."""
        return PROCESS + min(KEPT, sum(self.weights.values()))

    @property
    def peak(self) -> int | None:
        """Bytes at most: the process, all weights, and the larger of the largest pass and call of the codec."""
        if self.row is None or self.picture is None:
            return None
        row = self.row * (LED_ROW_KEEPS[self.again] if self.guided else 1)
        picture = self.picture * (LED_PICTURE_KEEPS if self.looked else 1)
        learning = self.row * TUNED_ROW_KEEPS[self.again] * self.tuned
        work = max(row * self.rows, learning), picture * self.pictures
        # A gradient through both keeps what both have worked with.
        work = round(sum(work) if self.led and self.looked else max(work))
        return self.process + sum(self.weights.values()) + work

    def as_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "model": self.model,
            "dtype": self.dtype,
            "cells": self.cells,
            "bytes": {
                "weights": dict(self.weights),
                "row": self.row,
                "picture": self.picture,
                "process": self.process,
                "rows_at_once": self.rows,
                "pictures_at_once": self.pictures,
                "peak": self.peak,
            },
            "with_gradient": {"rows": self.led, "pictures": self.looked, "tuned_at_once": self.tuned},
            "eyes": {"pictures": self.glances, "as_rows": round(self.as_rows, 1)},
            "seconds": self.seconds,
            "rows_per_second": self.rate.rows_per_second if self.rate else None,
            "measured_on": {"device": self.rate.device, "dtype": self.rate.dtype, "threads": self.rate.threads}
            if self.rate
            else None,
        }


def estimates(
    plans: Sequence[Plan], dtype: str = "float32", *, exact: bool = False, vae_tiling: Tiling = "auto"
) -> list[Estimate]:
    """One for each model that has files: a model that is only numbers, as in tests, has none.

    dtype, exact, vae_tiling: of the run that is planned.
    """
    models = {plan.graph.model.name: plan.graph.model for plan in plans}
    return [
        _estimate(model, [plan for plan in plans if plan.graph.model.name == name], dtype, exact, vae_tiling)
        for name, model in models.items()
        if isinstance(model, ModelInfo)
    ]


def _estimate(model: ModelInfo, plans: Sequence[Plan], dtype: str, exact: bool, vae_tiling: Tiling) -> Estimate:
    sizes = {cells for plan in plans if (cells := cells_of(plan))}
    largest = max(sizes, key=lambda cells: cells[0] * cells[1], default=None)
    item, side = ITEM[dtype], model.trained_size // model.scale
    counted = largest or (side, side)
    weights = {
        part: item * sum(stored.numbers for stored in model.files.tensors(part).values()) for part in model.known.parts
    }
    if loras := sum(stored.numbers for lora in model.loras for stored in read_header(lora.file).tensors.values()):
        weights["LoRA"] = item * loras
    weights |= _besides(plans, model, item)
    working = model.known.working
    seen = {cells for one in plans for cells in row_cells_of(one)}  # by the denoiser
    at_most = max(seen, key=math.prod, default=counted) if largest else counted
    rate = rates.measured(model.digest, at_most) if largest and len(seen) == 1 else None
    least, most = total(plans)
    led, looked, glances = (
        _counted(plans, lambda _, facts, what=what: int(facts.get(what, 0))) for what in ("led", "looked", "glances")
    )
    as_rows = glances * glance(plans, model, at_most)
    learnt, again = _counted(plans, _learnt), _network(model) >= LARGE
    # A row that a gradient goes back through takes as long as several; of large networks it is done again.
    more = (led - learnt) * (LED_ROW[again] - 1) + learnt * (TUNED_ROW[again] - 1)
    more += (looked * LOOK if model.scale > 1 else 0) + as_rows  # pixels are their own codec
    repeated = most / least if least else 1  # of walks that may begin again
    company = EXACT_ROWS if exact else min(ROWS_A_CALL, len(plans))
    codec = [_in_codec(model, cells, item, company, vae_tiling) for cells in sizes or {counted}] if working else []
    picture, pictures = max(codec, key=math.prod, default=(None, company))
    return Estimate(
        model=model.name,
        dtype=dtype,
        cells=largest,
        weights=weights,
        row=round(item * working.row(at_most, model.tokens)) if working else None,
        picture=picture,
        rows=EXACT_ROWS if exact else min(ROWS_A_CALL, max(1, sum(at_once(plan) for plan in plans))),
        pictures=pictures,
        rate=rate,
        seconds=((least + more if least else 0) / rate.rows_per_second, (most + more * repeated) / rate.rows_per_second)
        if rate
        else None,
        led=led,
        looked=looked,
        glances=glances,
        as_rows=as_rows,
        guided=led - learnt,
        tuned=_together(_at_once(plans)),
        again=again,
    )


def _in_codec(model: ModelInfo, cells: tuple[int, int], item: int, company: int, tiling: Tiling) -> tuple[int, int]:
    """Bytes of one picture in the codec, and how many are there at once: one, where its VAE sees it in tiles."""
    assert model.known.working
    height, width = (side * model.scale for side in cells)
    tiles = VaeTiles.of(model.trained_size, model.multiple, tiling)
    if model.scale == 1 or tiles.whole((height, width)):
        return round(item * model.known.working.picture(height * width)), company
    seen = min(tiles.side, height) * min(tiles.side, width)
    return round(item * model.known.working.picture(seen)) + ITEM["float32"] * TILED_PIXEL * height * width, 1


def _counted(plans: Sequence[Plan], fact: Fact) -> int:
    """A fact of all stages: in brackets as often as their flows are sent through, and once of what is done once."""
    once, each = dict[str, int](), 0
    for one in plans:
        alone, sent = _apart(one, fact)
        once, each = once | alone, each + sent
    return sum(once.values()) + each


def _apart(plan_: Plan, fact: Fact) -> tuple[dict[str, int], int]:
    """A fact of each stage that depends on no picture, by content key, and the sum of all others."""
    shared, once, each = of_no_picture(plan_.graph), dict[str, int](), 0
    for node in plan_.graph.nodes:
        found = fact(node, plan_.facts[node.id])
        if node.id in shared:
            once[shared[node.id]] = found
        else:
            each += found
        for turn in node.turns():
            inner = plan(turn)
            alone, sent = _apart(inner, fact)
            paid, one = plan_.rows[node.id][1] - summed(plan_.inside[node.id].values())[1], inner.each_time[1]
            once, each = once | alone, each + round((paid / one if one else 1) * sent)
    return once, each


def _learnt(node: Node, facts: Facts) -> int:
    """Rows of a tuning whose gradient it asks."""
    return int(facts.get("led", 0)) if node.card.takes("TrainingLog") else 0


def _at_once(plans: Sequence[Plan]) -> list[int]:
    """Of each tuning, those in brackets among them, the rows of one step."""
    found: dict[object, int] = {}
    for one in (each for outer in plans for each in outer.everything()):
        shared = of_no_picture(one.graph)
        for node in one.graph.nodes:
            if led := _learnt(node, one.facts[node.id]):
                steps = max(1, int(one.facts[node.id].get("learning", led)))
                found[shared.get(node.id) or (id(one.graph), node.id)] = math.ceil(led / steps)
    return [*found.values()]


def _together(steps: Sequence[int]) -> int:
    """Rows that are kept for one way back: all of one tuning's step, in however many calls; of several, a call."""
    return max(min(ROWS_A_CALL, sum(steps)), max(steps, default=0))


def _network(model: ModelInfo) -> int:
    """Numbers of the denoiser."""
    parts = [part for part in model.known.parts if part in NETWORKS]
    return sum(stored.numbers for part in parts for stored in model.files.tensors(part).values())


def _besides(plans: Sequence[Plan], model: ModelInfo, item: int) -> dict[str, int]:
    """Bytes of what stages bring: files beside the model, weights of plugins' own, copies that tunings make."""
    # A copy that moves is in float32, as are its gradient and what Adam keeps; a fourth as many stand in at each step.
    network, moves = _network(model), ITEM["float32"] / item + (0.25 if item < ITEM["float32"] else 0)
    found: dict[tuple[str, object], int] = {}
    for one in (each for outer in plans for each in outer.everything()):
        for node in one.graph.nodes:
            if node.card.takes("Adapters", "TunedWeights") and node.options.get("path"):
                found[node.card.name, node.options["path"]] = numbers_of([str(node.options["path"])])
            if copies := one.facts[node.id].get("copies", 0):
                key = of_no_picture(one.graph).get(node.id) or (one.graph.item, node.id)
                found[node.card.name, key] = int(copies * network * moves)
            if numbers := one.facts[node.id].get("numbers", 0):  # in float32, whatever the run is in
                found[node.card.name, (one.graph.item, node.id)] = int(numbers * ITEM["float32"] / item)
            for _, edge in node.edges():
                for name, path, _ in edge.settings.get("files", ()) if isinstance(edge, FromEngine) else ():
                    found[f"{node.card.plugin} {name}", path] = numbers_of([path])
    told: dict[str, int] = {}
    for (name, _), numbers in found.items():
        told[name] = told.get(name, 0) + item * numbers
    return told
