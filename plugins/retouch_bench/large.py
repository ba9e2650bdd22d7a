"""`retouch bench large`: an edit of a small part of a picture of 16 megapixels, whose true result is known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from retouch_bench.drawn import Drawn
from retouch_bench.edits import HeldOutEdit, held_out_edits
from retouch_bench.spent import Spent, run

SCENES = 4  # along each side of the sheet
MARGIN = 0.02  # of the sheet's scene, that the mask is larger than what changes
BESIDE = 8  # pixels round the mask in which a seam would lie
FINER = "tiles multidiffusion | invert sdedit strength=8% steps=25 | blend latent | guide cfg guidance=1"
# Each stage gives back what its decoder tinted and its denoiser mottled, so that no stage works on from another's.
LARGER = f"upscale factor=1.41421356 | surround lowpass | mask window | {FINER} | match lowpass | narrow tolerance=6%"
# What the model sees is a whole scene, as in its training; what is edited is the place alone, and of that the thing.
# What is redrawn at the thing's edge, when it is enlarged, may reach out of the place: so all outside is put back.
WINDOW = """whole = open | mask box {mask}
seen = mask box {scene} | crop context=0
place = seen | mask box {place}
thing = seen | mask diffedit {change} steps={steps} | mask dilate | mask intersect other=place
"""
EDITED = (
    f"{WINDOW}seen | invert edit_friendly {{change}} steps={{steps}} | blend latent mask=thing | blend pixel mask=thing"
    " | narrow tolerance=6%"
)
BACK = "paste | blend pixel mask=whole"
RECIPES = {
    "crop, close to the mask": "mask box {mask} | crop context=0.1 | invert edit_friendly {change} steps={steps}"
    " | mask diffedit steps={steps} | mask dilate | blend latent | blend pixel | paste",
    "crop": f"{EDITED} | {BACK}",
    "multi_stage, two stages": f"{EDITED} | {LARGER} | {LARGER} | {BACK}",
    "multi_stage, to full size": f"{EDITED} | {' | '.join([LARGER] * 6)} | {BACK}",
}


def main(argv: Sequence[str]) -> int:
    """Edit one scene of a sheet by each recipe, each in a process of its own, and compare with the truth."""
    from retouch_bench.quality import count

    parser = argparse.ArgumentParser(prog="retouch bench large", description=main.__doc__)
    parser.add_argument(
        "-e",
        dest="recipes",
        action="append",
        default=[],
        metavar="RECIPE",
        help="others; {mask}, {scene}, {place}, {change} and {steps} are filled in",
    )
    parser.add_argument("--edits", type=count, default=1, help="how many; each is a process a recipe (default: 1)")
    parser.add_argument("--steps", type=count, default=20, help="of the first stage (default: 20)")
    parser.add_argument("--side", type=count, default=4096, help="pixels of the sheet (default: 4096)")
    parser.add_argument("--model", default="storybook128")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-o", dest="out", type=Path, default=Path("out/bench-large"), metavar="DIR")
    args = parser.parse_args(argv)
    found: list[dict[str, Any]] = []
    if not args.json:
        print("| recipe | right | PSNR inside | pixels outside | seam | seconds | of processors | peak, GB |")
        print("|---|---|---|---|---|---|---|---|")
    for row in _measured(args):
        found.append(row)
        if not args.json:
            print(
                f"| {row['name']} | {row['right']:.0%} | {row['psnr_inside']:.1f} dB | {row['changed_outside']} "
                f"| {row['seam']:.1f} | {row['seconds']:.0f} | {row['cpu_seconds']:.0f} | {row['peak_gb']:.2f} |",
                flush=True,
            )
    if args.json:
        print(json.dumps(found))
    return 0


@dataclass(frozen=True)
class LargeDrawing:
    """One edit of one scene among others, drawn at the side of the whole."""

    edit: HeldOutEdit
    place: tuple[int, int]  # row, column
    side: int
    folder: Path

    @property
    def cell(self) -> int:
        """Pixels of a scene's side."""
        return self.side // SCENES

    @property
    def source(self) -> Path:
        return self._drawn("source")

    @property
    def truth(self) -> Path:
        return self._drawn("truth")

    @property
    def scene(self) -> Drawn:
        """The scene that is edited, alone."""
        return Drawn(self.edit, self.folder, self.cell)

    def box(self) -> tuple[int, int, int, int]:
        """What the mask covers: left, top, right, bottom, in pixels of the sheet."""
        rows, columns = (self.scene.inside.any(axis).nonzero().flatten() for axis in (1, 0))
        grown, (row, column) = int(MARGIN * self.cell), self.place
        top, bottom = max(0, int(rows[0]) - grown), min(self.cell, int(rows[-1]) + 1 + grown)
        left, right = max(0, int(columns[0]) - grown), min(self.cell, int(columns[-1]) + 1 + grown)
        return (
            column * self.cell + left,
            row * self.cell + top,
            column * self.cell + right,
            row * self.cell + bottom,
        )

    def fields(self) -> dict[str, str]:
        """What the mask covers as options of `mask box`: of the sheet, and of the scene; and that scene's cell."""
        (row, column), cell, box = self.place, self.cell, self.box()
        left, top = column * cell, row * cell
        place = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
        return {
            "mask": _options(box, self.side),
            "place": _options(place, cell),
            "scene": _options((left, top, left + cell, top + cell), self.side),
        }

    def _drawn(self, what: str) -> Path:
        return self.scene.kept(f"sheet-{what}", lambda: self._sheet(what))

    def _sheet(self, what: str) -> Image.Image:
        sheet = Image.new("RGB", (self.side, self.side))
        for i, other in enumerate(held_out_edits(SCENES**2, seed=1)):
            place = divmod(i, SCENES)
            around = Drawn(other, self.folder, self.cell)
            shown = getattr(self.scene, what) if place == self.place else around.source
            with Image.open(shown) as drawn:
                sheet.paste(drawn, (place[1] * self.cell, place[0] * self.cell))
        return sheet


def _options(box: tuple[int, int, int, int], side: int) -> str:
    """A rectangle of pixels as options of `mask box`, in a picture of this side."""
    names = ("left", "top", "right", "bottom")
    return " ".join(f"{name}={100 * edge / side:.4f}%" for name, edge in zip(names, box, strict=True))


def _measured(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    chosen = [edit for edit in held_out_edits(7 * args.edits) if edit.kind == "change object"][: args.edits]
    sheets = [LargeDrawing(edit, (1, 2), args.side, args.out / "drawings") for edit in chosen]
    recipes = {text: text for text in args.recipes} or RECIPES
    for name, text in recipes.items():
        rows = [figures(sheet, *_run(sheet, text, args)) for sheet in sheets]
        mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0] if key != "peak_gb"}
        changed = sum(row["changed_outside"] for row in rows)
        yield {"name": name, **mean, "changed_outside": changed, "peak_gb": max(row["peak_gb"] for row in rows)}


def filled(text: str, sheet: LargeDrawing, steps: int, model: str) -> str:
    """A recipe of this benchmark for one edit."""
    recipe = f'model "{model}"\n{text}'
    for field, value in (sheet.fields() | {"change": sheet.edit.change, "steps": str(steps)}).items():
        recipe = recipe.replace(f"{{{field}}}", value)
    return recipe


def _run(sheet: LargeDrawing, text: str, args: argparse.Namespace) -> tuple[Path, Spent]:
    """The result's file, and what the process that made it took."""
    recipe = filled(text, sheet, args.steps, args.model)
    out = args.out / "pictures" / f"{sheet.edit.name}-{sha256(recipe.encode()).hexdigest()[:12]}.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    more = (str(sheet.source), "-o", str(out), "--force", "--caption", sheet.edit.before.caption())
    return out, run(recipe, *more)


def figures(sheet: LargeDrawing, result: Path, spent: Spent) -> dict[str, float]:
    """What a result is worth."""
    from retouch_bench.metrics import psnr
    from retouch_storybook.judge import load_judge

    made, source, truth = (_bytes(path) for path in (result, sheet.source, sheet.truth))
    left, top, right, bottom = sheet.box()
    outside = torch.ones(sheet.side, sheet.side, dtype=torch.bool)
    outside[top:bottom, left:right] = False
    changed = int(((made != source).any(0) & outside).sum())
    row, column = (place * sheet.cell for place in sheet.place)
    scene, true = (each[:, row : row + sheet.cell, column : column + sheet.cell] / 255 for each in (made, truth))
    (reading,) = load_judge()(scene[None].float())
    return {
        "right": float(all(getattr(reading, each) == getattr(sheet.edit.after, each) for each in sheet.edit.asked)),
        "psnr_inside": psnr(scene, true, sheet.scene.inside) or 0.0,
        "changed_outside": changed,
        "seam": seam(*(_part(each, sheet.box()) for each in (made, truth))),
        **spent._asdict(),
        "mask": float((~outside).double().mean()),
    }


def seam(made: Tensor, truth: Tensor) -> float:
    """The strongest straight line that a result has and the truth has not: a tile's border, or a mask's.

    Steps between neighbours are averaged along each column and each row; what is told is the most by which one of the
    result's is above the truth's, in levels of 255.  made, truth: [3, H, W] in levels
    """
    found = [
        (made.diff(dim=axis).abs().mean((0, 3 - axis)) - truth.diff(dim=axis).abs().mean((0, 3 - axis))).max()
        for axis in (1, 2)
    ]
    return max(0.0, float(max(found)))


def _part(picture: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """The box with its surroundings.  [3, H, W] -> [3, h, w]"""
    left, top, right, bottom = box
    return picture[:, max(0, top - BESIDE) : bottom + BESIDE, max(0, left - BESIDE) : right + BESIDE]


def _bytes(path: Path) -> Tensor:
    """Levels of 255.  [3, H, W]"""
    with Image.open(path) as opened:
        return torch.from_numpy(np.asarray(opened.convert("RGB")).copy()).permute(2, 0, 1).float()
