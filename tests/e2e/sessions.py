"""Recipes run in this process, where calls and rows can be counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from retouch.check.check import check
from retouch.check.matrix import CAPTION, MASK
from retouch.check.reading.environment import Environment, inspect, installed_model
from retouch.graph.nodes import Graph, Picture
from retouch.models.catalog import ModelInfo, find
from retouch.models.network.acceleration import EAGER
from retouch.plugins import registry
from retouch.run.files.provenance import Request
from retouch.run.loaded.model_cache import KeptMachines
from retouch.run.outcome import RunResult
from retouch.run.session import execute
from retouch.run.settings import Settings
from retouch_storybook.world import Scene, render
from tests.models.tiny_folder import three_levels

INSTALLED = registry.load()
KEPT = KeptMachines()  # the embedded models, loaded once a worker


def stay_loaded(*names: str) -> None:
    """Keep embedded models from when they are first used: commands that are run in this process find them."""
    for name in names:
        KEPT(find(name), "cpu", torch.float32, EAGER)


def tiny_world(here: Path, steps: int, seed: int = 0) -> Environment:
    """A small random model with the sites of the embedded one, and a picture of 32 pixels with two masks."""
    three_levels(seed).save_pretrained(here / "tiny")
    (here / "pictures").mkdir()
    picture = render(Scene("cat", "orange", "in a meadow", seed=4), 64).resize((32, 32))
    picture.save(here / "pictures" / "cat_meadow.png")
    for mask, darker in ((here / MASK, 150), (here / "pictures" / "other_mask.png", 200)):
        picture.convert("L").point(lambda grey, darker=darker: 255 * (grey < darker)).save(mask)
    return Environment(
        INSTALLED,
        here,
        (Picture(here / "pictures" / "cat_meadow.png", 0, CAPTION),),
        {"steps": str(steps)},
        model=str(here / "tiny"),
        output=here / "out",
        allowed=(here,),
        find_model=cache(installed_model),  # hundreds of recipes, one model and one picture
        inspect=cache(inspect),
    )


def unread(name: str, revision: str | None, **beside: Any) -> ModelInfo:
    """A model of the catalog of which no check knows what it reads, as of one that is given a template."""
    found = installed_model(name, revision, **beside)
    return replace(found, known=replace(found.known, reads={}))


def graphs(
    recipe: str,
    pictures: Sequence[Path],
    out: Path,
    find_model: Callable[..., ModelInfo] = installed_model,
    **settings: object,
) -> tuple[Graph, ...]:
    """The graphs of a recipe that has no mistakes."""
    named = tuple(
        Picture(path, i, path.with_suffix(".txt").read_text().strip() if path.with_suffix(".txt").exists() else None)
        for i, path in enumerate(pictures)
    )
    told = {name: str(value) for name, value in settings.items()}
    world = Environment(INSTALLED, out, named, told, output=out, force=True, allowed=(out,), find_model=find_model)
    checked = check(recipe, world)
    assert not checked.errors, [found.message for found in checked.errors]
    return checked.graphs


def run(recipe: str, pictures: Sequence[Path], out: Path, *, exact: bool = False, **settings: object) -> RunResult:
    """Run it on all pictures together; every one has to end well."""
    result = execute(
        graphs(recipe, pictures, out, **settings),
        registry=INSTALLED,
        request=Request(recipe),
        settings=Settings(exact=exact),
        machine=KEPT,
    )
    assert not any(outcome.failed for outcome in result.outcomes), [o.failures for o in result.outcomes]
    return result
