"""Edits of solids, with their truth from all around."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from retouch_storybook.popup.edits import KINDS, EditInWords, Kind
from retouch_storybook.solids.animals import animal
from retouch_storybook.solids.outdoors import OutdoorThing
from retouch_storybook.solids.rendering import render, round_about
from retouch_storybook.world.scene import ACCESSORIES


@dataclass(frozen=True, slots=True)
class Figure:
    """What stands alone, before nothing."""

    subject: Literal["cat", "dog"]
    color: str
    accessory: Literal["hat"] | None = None
    bounds: ClassVar[str] = ""  # silhouettes tell where it is

    def caption(self) -> str:
        """Say all of it: 'an orange cat wearing a hat'."""
        article = "an" if self.color[0] in "aeiou" else "a"
        worn = f" {ACCESSORIES[self.accessory]}" if self.accessory else ""
        return f"{article} {self.color} {self.subject}{worn}"

    def places(self, count: int, shift: float = 0.0) -> list[np.ndarray]:
        """Poses from all around."""
        return round_about(count, shift)

    def seen(self, pose: np.ndarray, size: int = 64) -> Image.Image:
        """The picture from a pose, RGBA."""
        return render(animal(self.subject, self.color, self.accessory), pose, size)


@dataclass(frozen=True, slots=True)
class SolidEdit(EditInWords):
    """One change of a figure, or of what stands outdoors; `kind` as in the pop-up world."""

    name: str
    kind: Kind
    before: Figure | OutdoorThing
    after: Figure | OutdoorThing


OUTDOORS: dict[str, OutdoorThing] = {
    "orchard": OutdoorThing("tree", "orange", "in a meadow"),
    "coast": OutdoorThing("tree", "green", "on a beach"),
    "lawn": OutdoorThing("ball", "red", "in a meadow"),
    "dune": OutdoorThing("ball", "blue", "in a desert"),
}
_COLORS = {"orchard": "blue", "coast": "pink", "lawn": "blue", "dune": "green"}
_OTHER: dict[str, Literal["tree", "ball"]] = {"tree": "ball", "ball": "tree"}


def _edits() -> dict[str, SolidEdit]:
    was = Figure("cat", "orange")
    changes = {"dog": {"subject": "dog"}, "hat": {"accessory": "hat"}, "color": {"color": "blue"}}
    found = [SolidEdit(f"figure-{kind}", kind, was, replace(was, **changes[kind])) for kind in KINDS]
    for name, stands in OUTDOORS.items():
        found.append(SolidEdit(f"{name}-color", "color", stands, replace(stands, color=_COLORS[name])))
        found.append(SolidEdit(f"{name}-thing", "thing", stands, replace(stands, subject=_OTHER[stands.subject])))
    return {edit.name: edit for edit in found}


SOLID_EDITS = _edits()
