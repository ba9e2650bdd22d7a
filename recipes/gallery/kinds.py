"""Makes the pictures of kinds/ anew from a benchmark's: the first edit of each kind; source, result, truth.

python recipes/gallery/kinds.py out/bench-quality    after `retouch bench quality`
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from retouch_bench.edits import KINDS, held_out_edits

HERE = Path(__file__).parent / "kinds"
SIDE, GAP = 192, 8  # pixels
EXACT, ALONE = "edit_friendly-blend-pixel.png", "edit_friendly-none.png"
# What recipes/README.md names for each kind, as the benchmark names its files.
BEST = {"background": ALONE, "style": ALONE, "several": ALONE}


def main(bench: Path) -> None:
    for edit in held_out_edits(len(KINDS)):
        result = bench / "pictures" / edit.name / BEST.get(edit.kind, EXACT)
        source, truth = (bench / "drawings" / f"{edit.name}-{what}.png" for what in ("source", "truth"))
        beside([source, result, truth]).save(HERE / f"{edit.kind.replace(' ', '_')}.png", optimize=True)
        print(f"{edit.kind}: {edit.before.caption()}, {edit.change}")


def beside(paths: list[Path]) -> Image.Image:
    page = Image.new("RGB", (len(paths) * (SIDE + GAP) - GAP, SIDE), "white")
    for i, path in enumerate(paths):
        picture = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)
        page.paste(picture, (i * (SIDE + GAP), 0))
    return page


if __name__ == "__main__":
    main(Path(sys.argv[1]))
