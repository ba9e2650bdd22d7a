"""Retouch: edit images with diffusion models, by recipe.

retouch.recipe('invert null_text | mask diffedit "cat"->"dog" | blend latent')("cat.png").image.save("dog.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retouch.version import API_VERSION, __version__

if TYPE_CHECKING:  # for editors and checkers of types: __getattr__ says nothing of what it gives
    from retouch.plugins.hooks import hookimpl as hookimpl
    from retouch.scripting import EditFailed as EditFailed
    from retouch.scripting import Flow as Flow
    from retouch.scripting import Recipe as Recipe
    from retouch.scripting import RecipeError as RecipeError
    from retouch.scripting import Result as Result
    from retouch.scripting import add as add
    from retouch.scripting import edit as edit
    from retouch.scripting import recipe as recipe
    from retouch.scripting import remove as remove
    from retouch.scripting import weigh as weigh

__all__ = ["API_VERSION", "__version__"]

_PYTHON = ("EditFailed", "Flow", "Recipe", "RecipeError", "Result", "add", "edit", "recipe", "remove", "weigh")


def __getattr__(name: str) -> Any:
    """What scripts use comes when it is asked for: `import retouch` alone loads nothing.

    Families of stages are attributes, those of plugins too: `retouch.open("cat.png") | retouch.invert.ddim() | …`.
    """
    from retouch.lang.words import FAMILIES

    if name == "hookimpl":
        from retouch.plugins.hooks import hookimpl

        return hookimpl
    if name not in _PYTHON and name not in FAMILIES and not _is_family(name):
        raise AttributeError(f"module 'retouch' has no attribute '{name}'")
    from retouch import scripting

    return getattr(scripting, name) if name in _PYTHON else scripting.Family(name)


def _is_family(name: str) -> bool:
    """Whether an installed plugin has stages of this family."""
    from importlib.util import find_spec

    if name.startswith("_") or find_spec(f"{__name__}.{name}"):  # a module of ours that is about to be imported
        return False
    from retouch.plugins import registry

    return name in registry.load().families
