"""A benchmark: how much of pictures a recipe changes."""

from collections.abc import Sequence

from PIL import Image, ImageChops

import retouch
from retouch import hookimpl
from retouch.api.commands import WrongCommand


def main(words: Sequence[str]) -> int:
    """Print a line for each picture, with the share of its pixels that the recipe changes.  Returns the exit code."""
    if len(words) < 2:
        raise WrongCommand("write a recipe and pictures: retouch bench newcomer 'RECIPE' cat.png dog.png")
    recipe, *paths = words
    edit = retouch.recipe(recipe)  # its model stays loaded for all of them
    for path in paths:
        print(f"{path}: {changed(Image.open(path).convert('RGB'), edit(path).image.convert('RGB')):.1%}")
    return 0


def changed(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that differ."""
    red, green, blue = ImageChops.difference(one, other).split()
    gap = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return 1 - gap.histogram()[0] / (gap.width * gap.height)


@hookimpl
def retouch_benches():
    """What `retouch bench` calls, by name."""
    return {"newcomer": "retouch_newcomer:main"}
