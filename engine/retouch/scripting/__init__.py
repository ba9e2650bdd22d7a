"""Recipes from Python: a text made callable, and flows built stage by stage.  Both build the graph that the text does.

edit = retouch.recipe('invert null_text | mask diffedit "cat"->"dog" | blend latent')
edit("cat.png").image.save("dog.png")

flow = retouch.open("cat.png", caption="a cat") | retouch.invert.ddim() | retouch.attend.p2p(retouch.edit("cat", "dog"))
flow().image
"""

from retouch.scripting.flow import EditText, Family, Flow, add, edit, remove, weigh
from retouch.scripting.recipe import Recipe, recipe
from retouch.scripting.result import EditFailed, RecipeError, Result

__all__ = [
    "EditFailed",
    "EditText",
    "Family",
    "Flow",
    "Recipe",
    "RecipeError",
    "Result",
    "add",
    "edit",
    "recipe",
    "remove",
    "weigh",
]
