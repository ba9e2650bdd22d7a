"""Layers of a LoRA file on the layers of a model, by names and shapes from headers alone.  No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retouch.models.errors import BrokenModel
from retouch.models.lora.layers import LoraLayer, plain_name, read_lora

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of weights, by their names in the module."""
Spellings = Mapping[str, tuple[str, ...]]
"""Other names of layers, each with the modules that it stands for: several where one was cut into them"""


class NothingFits(BrokenModel):
    """No layer of a file is one of the model's."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One layer of the file on one weight: which rows of what it adds belong there."""

    layer: LoraLayer
    weight: str
    rows: tuple[int, int]


def place(file: Path, parts: Mapping[str, Shapes], spellings: Spellings) -> tuple[dict[str, list[Placed]], list[str]]:
    """Return for each part what the file adds to it, and the tensors that fit nowhere.

    parts: shapes of the weights of each part; "" is the denoiser.
    Raises BrokenModel where nothing fits, or a layer has another shape than the model's of its name.
    """
    layers, left = read_lora(file)
    tables = {part: _table(shapes, {} if part else spellings) for part, shapes in parts.items()}
    found: dict[str, list[Placed]] = {}
    for layer in layers:
        weights = tables.get(layer.part, {}).get(layer.name)
        if weights is None:
            left += layer.factors.values()
            continue
        found.setdefault(layer.part, []).extend(_on(file, layer, weights, parts[layer.part]))
    if not found:
        first = min((name for layer in layers for name in layer.factors.values()), default="none")
        raise NothingFits(f"'{file.name}' has no layer of this model; its first tensor is {first}")
    return found, left


def _table(shapes: Shapes, spellings: Spellings) -> dict[str, tuple[str, ...]]:
    """Weights, by every name under which a file may have their layer."""
    modules = {
        name.removesuffix(".weight"): name
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) in (2, 4)
    }
    table: dict[str, tuple[str, ...]] = {plain_name(module): (name,) for module, name in modules.items()}
    # Processors of older files call it by the list that it is the first of.
    table |= {plain_name(m.removesuffix(".0")): (name,) for m, name in modules.items() if m.endswith("to_out.0")}
    for other, targets in spellings.items():
        weights = tuple(modules[target] for target in targets if target in modules)
        if len(weights) == len(targets):
            table.setdefault(plain_name(other), weights)
    return table


def _on(file: Path, layer: LoraLayer, weights: tuple[str, ...], shapes: Shapes) -> Iterable[Placed]:
    """Give each weight its rows of what the layer adds."""
    rows, columns = layer.shape
    at = 0
    for weight in weights:
        count = shapes[weight][0]
        yield Placed(layer, weight, (at, at + count))
        at += count
    wanted = 1
    for side in shapes[weights[0]][1:]:
        wanted *= side
    if (rows, columns) != (at, wanted):
        tensor = next(iter(layer.factors.values()))
        raise BrokenModel(
            f"'{file.name}': {tensor} adds {rows} x {columns} to {weights[0].removesuffix('.weight')}, "
            f"which has {at} x {wanted}; it was trained on another model"
        )
