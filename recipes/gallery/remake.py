"""Makes the pictures of this folder anew: what a recipe makes of the shipped cat, before and after, enlarged.

python recipes/gallery/remake.py [NAME ...]    without names, all that are here
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

import retouch

HERE = Path(__file__).parent
RECIPES = HERE.parent
CAT = RECIPES / "pictures" / "cat_meadow.png"
SIDE, GAP = 256, 8  # pixels


def main(names: list[str]) -> None:
    for name in names or sorted(path.stem for path in HERE.glob("*.png")):
        recipe = retouch.recipe((RECIPES / f"{name}.retouch").read_text("utf-8"), RECIPES)
        result = recipe(CAT)
        beside([Image.open(CAT), result.image], SIDE).save(HERE / f"{name}.png", optimize=True)
        print(f"{name}: {result.cost} rows", flush=True)


def beside(pictures: list[Image.Image], side: int) -> Image.Image:
    page = Image.new("RGB", (len(pictures) * (side + GAP) - GAP, side), "white")
    for i, picture in enumerate(pictures):
        page.paste(picture.convert("RGB").resize((side, side), Image.Resampling.NEAREST), (i * (side + GAP), 0))
    return page


if __name__ == "__main__":
    main(sys.argv[1:])
