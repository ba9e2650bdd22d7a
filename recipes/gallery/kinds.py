"""Makes the pictures of kinds/ anew: the first held-out edit of each kind by the recipe that README.md names for it.

python recipes/gallery/kinds.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from page import made_with, save

import retouch
from retouch_bench import quality
from retouch_bench.edits import KINDS, HeldOutEdit, held_out_edits
from retouch_bench.pairs import given

HERE = Path(__file__).parent / "kinds"
SIDE, STEPS = 192, 20  # pixels; of each walk
EXACT = "invert edit_friendly {change} | mask diffedit | blend latent | blend pixel"
ALONE = "invert edit_friendly {change}"
WHOLE = ("background", "style", "several")  # kinds that leave nothing outside a mask


def main(bench: Path) -> None:
    edits = held_out_edits(len(KINDS))
    quality.main(["-e", EXACT, "-e", ALONE, "--edits", str(len(edits)), "--steps", str(STEPS), "-o", str(bench)])
    for edit in edits:
        (entry,) = given([recipe_for(edit)])
        source, truth = (bench / "drawings" / f"{edit.name}-{what}.png" for what in ("source", "truth"))
        result = bench / "pictures" / edit.name / entry.file
        save([source, result, truth], SIDE, page_of(edit), how_made(edit, source))
        print(f"{edit.kind}: {edit.before.caption()}, {edit.change}")


def recipe_for(edit: HeldOutEdit) -> str:
    """The one that README.md names for its kind."""
    return ALONE if edit.kind in WHOLE else EXACT


def how_made(edit: HeldOutEdit, source: Path) -> dict[str, str]:
    """What the page says of itself."""
    recipe = retouch.recipe(recipe_for(edit).format(change=edit.change))
    return made_with(recipe, source, caption=edit.before.caption(), steps=STEPS)


def page_of(edit: HeldOutEdit) -> Path:
    """Where it lies."""
    return HERE / f"{edit.kind.replace(' ', '_')}.png"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
