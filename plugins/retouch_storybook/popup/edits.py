"""Eight scenes and three edits of each, with their truth: what a benchmark of edits in space is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from retouch_storybook.world.scene import FIRST_UNSEEN_SEED, Scene

Kind = Literal["dog", "hat", "color", "thing"]
KINDS: tuple[Kind, ...] = ("dog", "hat", "color")  # of an animal


class EditInWords:
    """What an edit says of itself, by what is shown before and after it."""

    __slots__ = ()
    kind: Kind
    before: Any
    after: Any

    @property
    def words(self) -> tuple[str, str]:
        """What the caption loses and what it gains."""
        match self.kind:
            case "dog" | "thing":
                return self.before.subject, self.after.subject
            case "hat":
                return self.before.subject, f"{self.before.subject} wearing a hat"
            case "color":
                return self.before.color, self.after.color

    @property
    def operand(self) -> str:
        """The edit as recipes write it."""
        return '"{}"->"{}"'.format(*self.words)

    @property
    def asked(self) -> dict[str, str]:
        """What a judge is to read in the edited picture."""
        attribute = {"hat": "accessory", "color": "color"}.get(self.kind, "subject")
        return {attribute: str(getattr(self.after, attribute))}


@dataclass(frozen=True, slots=True)
class SpaceEdit(EditInWords):
    """One change of one scene.

    kind: "dog" puts another shape in the place, "hat" adds something, "color" keeps every shape; "thing", which is of
        solids, puts another shape there, too.
    """

    name: str
    kind: Kind
    before: Scene
    after: Scene


def _scene(subject: str, color: str, setting: str, seed: int) -> Scene:
    return Scene(subject, color, setting, seed=FIRST_UNSEEN_SEED + seed)


# Near enough to the middle and large enough that all of the subject is in every view.
SCENES: dict[str, Scene] = {
    "beach": _scene("cat", "orange", "on a beach", 1),
    "meadow": _scene("cat", "gray", "in a meadow", 4),
    "snow": _scene("cat", "brown", "in the snow", 8),
    "night": _scene("cat", "white", "at night", 14),
    "desert": _scene("cat", "black", "in a desert", 26),
    "room": _scene("cat", "gray", "in a room", 43),
    "shore": _scene("cat", "brown", "on a beach", 67),
    "garden": _scene("cat", "orange", "in a meadow", 52),
}
_COLORS = {
    "beach": "blue",
    "meadow": "orange",
    "snow": "blue",
    "night": "pink",
    "desert": "green",
    "room": "red",
    "shore": "green",
    "garden": "blue",
}


def _edits() -> dict[str, SpaceEdit]:
    found: dict[str, SpaceEdit] = {}
    for name, scene in SCENES.items():
        changes = {"dog": {"subject": "dog"}, "hat": {"accessory": "hat"}, "color": {"color": _COLORS[name]}}
        for kind in KINDS:
            each = f"{name}-{kind}"
            found[each] = SpaceEdit(each, kind, scene, replace(scene, **changes[kind]))
    return found


EDITS: dict[str, SpaceEdit] = _edits()
