"""A drawn world: change one attribute of a scene, keep its seed, and the drawing is the exact edited picture."""

from retouch_storybook.world.render import edited_region, render, subject_mask
from retouch_storybook.world.scene import (
    ACCESSORIES,
    ANIMALS,
    COLORS,
    FIRST_UNSEEN_SEED,
    SETTINGS,
    STYLES,
    SUBJECTS,
    Scene,
    held_out_scenes,
    sample,
)

__all__ = [
    "ACCESSORIES",
    "ANIMALS",
    "COLORS",
    "FIRST_UNSEEN_SEED",
    "SETTINGS",
    "STYLES",
    "SUBJECTS",
    "Scene",
    "edited_region",
    "held_out_scenes",
    "render",
    "sample",
    "subject_mask",
]
