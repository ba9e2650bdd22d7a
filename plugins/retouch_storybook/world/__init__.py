"""A drawn world: change one attribute of a scene, keep its seed, and the drawing is the exact edited picture."""

from retouch_storybook.world.render import edited_region, render, subject_mask
from retouch_storybook.world.scene import ACCESSORIES, ANIMALS, COLORS, SETTINGS, STYLES, SUBJECTS, Scene, sample

__all__ = [
    "ACCESSORIES",
    "ANIMALS",
    "COLORS",
    "SETTINGS",
    "STYLES",
    "SUBJECTS",
    "Scene",
    "edited_region",
    "render",
    "sample",
    "subject_mask",
]
