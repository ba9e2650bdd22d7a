"""Retouch: edit images with diffusion models, by recipe.

retouch.recipe('invert null_text | mask diffedit "cat"->"dog" | blend latent')("cat.png").image.save("dog.png")
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
API_VERSION = 1  # of what plugins may import; a stage may ask for one with @stage(…, api=1)

_PYTHON = ("EditFailed", "Flow", "Recipe", "RecipeError", "Result", "add", "edit", "recipe", "remove", "weigh")


def __getattr__(name: str) -> Any:
    """What scripts use comes when it is asked for: `import retouch` alone loads nothing.

    Families of stages are attributes: `retouch.open("cat.png") | retouch.invert.ddim() | …`.
    """
    from retouch.lang.words import FAMILIES

    if name not in _PYTHON and name not in FAMILIES:
        raise AttributeError(f"module 'retouch' has no attribute '{name}'")
    from retouch import python

    return getattr(python, name) if name in _PYTHON else python.Family(name)
