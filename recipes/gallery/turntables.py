"""Makes the turntables of scenes/ anew: what each recipe of ../scenes makes of the shipped scene.

python recipes/gallery/turntables.py [NAME ...]    without names, all
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from retouch.cli.main import main as retouch

HERE = Path(__file__).parent
RECIPES = HERE.parent / "scenes"


def main(names: list[str]) -> None:
    for recipe in sorted(RECIPES.glob("*.retouch")):
        if (names and recipe.stem not in names) or "save turntable" not in recipe.read_text("utf-8"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            if code := retouch(["run", str(recipe), "-o", folder]):
                sys.exit(code)
            (film,) = Path(folder).glob("*.webp")
            shutil.copyfile(film, HERE / "scenes" / f"{recipe.stem}.webp")


if __name__ == "__main__":
    main(sys.argv[1:])
