"""Closed, coloured solids: what can be seen from all around, with the exact picture of every edit."""

from retouch_storybook.solids.animals import animal
from retouch_storybook.solids.edits import OUTDOORS, SOLID_EDITS, Figure, SolidEdit
from retouch_storybook.solids.outdoors import OutdoorThing
from retouch_storybook.solids.rendering import LENS, render, round_about

__all__ = [
    "LENS",
    "OUTDOORS",
    "SOLID_EDITS",
    "Figure",
    "OutdoorThing",
    "SolidEdit",
    "animal",
    "render",
    "round_about",
]
