"""Makes the sheets of tuned attributes anew, of the first ten drawings that `retouch bench attributes` measures.

python recipes/gallery/attributes.py [FOLDER]    a folder of that benchmark, if what it has learnt is to be taken
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from retouch import pictures
from retouch_bench import attributes
from retouch_bench.attributes import METHODS, SEED, edits
from retouch_bench.drawn import Drawn, Strokes

HERE = Path(__file__).parent / "tuned"
SIDE, SHOWN = 64, 10  # pixels of a drawing; drawings
SHEETS = {
    "mosaic": "mosaic",
    "yellow": "yellow",
    "both": "both, weights added",
    "watercolours": "mosaic, of watercolours",
    "strokes": "… drawn by the model first",
}


def main(bench: Path) -> None:
    attributes.main(["--only", *SHEETS.values(), "--edits", str(SHOWN), "-o", str(bench)])
    for name, line in SHEETS.items():
        method = METHODS[line]
        sheet = Image.new("RGB", (SHOWN * SIDE, 2 * SIDE))
        for i, edit in enumerate(edits(line, method, SHOWN, SEED)):
            drawn = (Strokes if method.strokes else Drawn)(edit, bench / "drawings", SIDE)
            for row, file in enumerate((drawn.source, bench / line / f"{edit.name}.png")):
                sheet.paste(Image.open(file).convert("RGB"), (i * SIDE, row * SIDE))
        large = sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST)
        pictures.write(HERE / f"{name}.png", np.asarray(large))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(*sys.argv[1:] or [folder]))
