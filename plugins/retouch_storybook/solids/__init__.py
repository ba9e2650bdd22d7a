"""Animals of closed, coloured solids: what can be seen from all around, with the exact picture of every edit."""

from retouch_storybook.solids.animals import animal
from retouch_storybook.solids.edits import SOLID_EDITS, Figure, SolidEdit
from retouch_storybook.solids.rendering import LENS, render, round_about

__all__ = ["LENS", "SOLID_EDITS", "Figure", "SolidEdit", "animal", "render", "round_about"]
