"""Makes the pictures of kinds/ anew: the first held-out edit of each kind by the recipe that README.md names for it.

python recipes/gallery/kinds.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from remake import beside

from retouch_bench import quality
from retouch_bench.edits import KINDS, held_out_edits
from retouch_bench.pairs import given

HERE = Path(__file__).parent / "kinds"
SIDE = 192  # pixels
EXACT = "invert edit_friendly {change} | mask diffedit | blend latent | blend pixel"
ALONE = "invert edit_friendly {change}"
WHOLE = ("background", "style", "several")  # kinds that leave nothing outside a mask


def main(bench: Path) -> None:
    edits = held_out_edits(len(KINDS))
    quality.main(["-e", EXACT, "-e", ALONE, "--edits", str(len(edits)), "-o", str(bench)])
    for edit in edits:
        (entry,) = given([ALONE if edit.kind in WHOLE else EXACT])
        source, truth = (bench / "drawings" / f"{edit.name}-{what}.png" for what in ("source", "truth"))
        result = bench / "pictures" / edit.name / entry.file
        beside([Image.open(path) for path in (source, result, truth)], SIDE).save(
            HERE / f"{edit.kind.replace(' ', '_')}.png", optimize=True
        )
        print(f"{edit.kind}: {edit.before.caption()}, {edit.change}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
