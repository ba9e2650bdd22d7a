"""A model that is only numbers: enough to show every check, of recipes and of graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from retouch.core.declared.touches import Site
from retouch.core.grid import Grid
from retouch.models.errors import BrokenModel, UnknownModel


@dataclass(frozen=True)
class Known:
    """As much of what a family says as a check looks at."""

    sized: bool = False
    told: dict[str, float] = field(default_factory=dict)
    reads: dict[str, int] = field(default_factory=dict)
    reads_words: bool = True
    space: tuple[str, ...] = ("vae",)
    classes: int = 0


@dataclass(frozen=True)
class FakeModel:
    """As much of a model as a check looks at."""

    name: str = "storybook"
    family: str = "Stable Diffusion 1/2"
    sized: bool = False
    sites: tuple[Site, ...] = (
        Site("up.0", "self", "up", 0, 1),
        Site("up.1", "cross", "up", 0, 1),
        Site("up.2", "cross", "up", 1, 2),
        Site("up.3", "resnet", "up", 0, 1),
    )
    defaults: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    space: str = "vae"
    largest_side: int = 128
    trained_size: int = 64
    grid: Grid = field(default_factory=lambda: Grid(1000))
    prediction: str = "epsilon"
    known: Known = Known()


def among(*names: str, **given: Any) -> Callable[[str, str | None], FakeModel]:
    """Find models of these names, one that reads no words, one that was told classes, and one that is torn."""

    def find(name: str, revision: str | None) -> FakeModel:
        match name:
            case "torn":
                raise BrokenModel("it has no weights")
            case "storybook_pixels":
                return FakeModel(name, defaults={"guidance": 1.0}, space="", known=Known(reads_words=False), **given)
            case "guided.safetensors":
                return FakeModel(name, defaults={"guidance": 1.0}, space="", known=Known(classes=1000), **given)
            case _ if name in names:
                return FakeModel(name, space=name, **given)
            case _:
                raise UnknownModel(f"no model is called '{name}', and no folder", f"there are: {', '.join(names)}")

    return find
