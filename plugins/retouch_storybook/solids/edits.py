"""Edits of an animal of solids, with their truth from all around."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from retouch_storybook.popup.edits import KINDS, EditInWords, Kind
from retouch_storybook.solids.animals import animal
from retouch_storybook.solids.shapes import Solid
from retouch_storybook.world.scene import ACCESSORIES


@dataclass(frozen=True, slots=True)
class Figure:
    """What stands alone, before nothing."""

    subject: Literal["cat", "dog"]
    color: str
    accessory: Literal["hat"] | None = None

    def caption(self) -> str:
        """Say all of it: 'an orange cat wearing a hat'."""
        article = "an" if self.color[0] in "aeiou" else "a"
        worn = f" {ACCESSORIES[self.accessory]}" if self.accessory else ""
        return f"{article} {self.color} {self.subject}{worn}"

    def solids(self) -> list[Solid]:
        """What it is made of."""
        return animal(self.subject, self.color, self.accessory)


@dataclass(frozen=True, slots=True)
class SolidEdit(EditInWords):
    """One change of a figure; `kind` as in the pop-up world."""

    name: str
    kind: Kind
    before: Figure
    after: Figure


def _edits() -> dict[str, SolidEdit]:
    was = Figure("cat", "orange")
    changes = {"dog": {"subject": "dog"}, "hat": {"accessory": "hat"}, "color": {"color": "blue"}}
    found: dict[str, SolidEdit] = {}
    for kind in KINDS:
        found[f"figure-{kind}"] = SolidEdit(f"figure-{kind}", kind, was, replace(was, **changes[kind]))
    return found


SOLID_EDITS = _edits()
