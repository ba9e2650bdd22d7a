"""A page of the gallery: pictures side by side, enlarged, which say how they were made (`retouch show` prints it)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import retouch
from retouch import pictures
from retouch.graph.nodes import FromEngine, Graph
from retouch.run.files.provenance import Provenance, Request

RECIPES = Path(__file__).parents[1]
CAT = RECIPES / "pictures" / "cat_meadow.png"
OTHER_SOURCES = {  # by the recipe's name
    "cat_to_dog_128": RECIPES / "pictures" / "cat_meadow_128.png",
    "crop": RECIPES / "pictures" / "cat_between.png",
    "multi_stage": RECIPES / "pictures" / "cat_between.png",
    "panorama": RECIPES / "pictures" / "blank_wide.png",
}
GAP = 8  # pixels
TOLD = ("retouch", "torch", "recipe", "caption", "seed", "model", "model_digest", "stages")
DECIDES = ("seed", "model_digest", "stages", "supplied")  # another of these makes another picture


def source_of(name: str) -> Path:
    """The picture that a recipe of the gallery edits: the shipped cat, unless it wants another."""
    return OTHER_SOURCES.get(name, CAT)


def save(shown: list[Path | Image.Image], side: int, path: Path, how: Mapping[str, str]) -> None:
    """Write the pictures in a row, each `side` pixels high."""
    opened = [(Image.open(each) if isinstance(each, Path) else each).convert("RGB") for each in shown]
    fitted = [one.resize((one.width * side // one.height, side), Image.Resampling.NEAREST) for one in opened]
    page = Image.new("RGB", (sum(one.width + GAP for one in fitted) - GAP, side), "white")
    left = 0
    for one in fitted:
        page.paste(one, (left, 0))
        left += one.width + GAP
    pictures.write(path, np.asarray(page), metadata=how)


def made_with(recipe: retouch.Recipe, source: Path, **settings: Any) -> dict[str, str]:
    """What decides the result of a recipe: the model, and the settings of each stage, those of the card included."""
    (graph,) = recipe.graphs(source, **settings)
    told = Provenance(graph, Request(recipe.text), {})("")
    return {name: told[name] for name in TOLD} | {"supplied": json.dumps(_supplied(graph))}


def _supplied(graph: Graph) -> list[Any]:
    """What the engine gives each stage, such as the number of steps."""
    return [
        [node.id, port, edge.type, _anywhere(edge.settings)]
        for node in graph.nodes
        for port, edge in node.edges()
        if isinstance(edge, FromEngine)
    ]


def _anywhere(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without places of this machine: what is in a file counts, not where it lies."""
    told = {name: value for name, value in settings.items() if name != "folder"}
    if "files" in told:
        told["files"] = [[name, digest] for name, _, digest in told["files"]]
    return told
