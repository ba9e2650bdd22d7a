"""Makes the pictures of this folder anew: what a recipe makes of the shipped cat, before and after.

python recipes/gallery/remake.py [NAME ...]    without names, all that are here
"""

from __future__ import annotations

import sys
from pathlib import Path

from page import RECIPES, made_with, save, source_of

import retouch

HERE = Path(__file__).parent
SIDE = 256  # pixels


def main(names: list[str]) -> None:
    for name in names or sorted(path.stem for path in HERE.glob("*.png")):
        recipe, source = shipped(name), source_of(name)
        result = recipe(source)
        save([source, result.image], SIDE, HERE / f"{name}.png", made_with(recipe, source))
        print(f"{name}: {result.cost} rows", flush=True)


def shipped(name: str) -> retouch.Recipe:
    """A recipe of the folder above."""
    return retouch.recipe((RECIPES / f"{name}.retouch").read_text("utf-8"), RECIPES)


if __name__ == "__main__":
    main(sys.argv[1:])
