"""What edits come to with a folder of weights, as a sheet to look at: `python -m retouch_storybook.train.edits SHEET`.

Made by the product itself, on held-out triples with unseen seeds.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

import retouch
from retouch.api.models import describe_model
from retouch_storybook.train.base import SHIPPED
from retouch_storybook.train.sampling import sheet
from retouch_storybook.world import FIRST_UNSEEN_SEED, SUBJECTS, Scene, edited_region, held_out_scenes, render

RECIPES = {
    "round trip of the VAE": "encode | decode",
    "DDIM inversion and back": "invert ddim | sample guidance=1",
    "DDIM inversion, edited": "invert ddim {change}",
    "edit-friendly noise, edited": "invert edit_friendly {change}",
    "the same in DiffEdit's mask": "invert edit_friendly {change} | mask diffedit | blend latent | blend pixel",
}
COUNT = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Write the sheet, and print how near each row comes to the drawing of its answer."""
    parser = argparse.ArgumentParser(prog="python -m retouch_storybook.train.edits", description=__doc__)
    parser.add_argument("sheet", type=Path, help="the PNG to write: drawings, results a row, true edits")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="a folder of weights (default: the shipped ones)")
    options = parser.parse_args(argv)
    figures = measure(
        options.weights, describe_model(str(options.weights), options.weights).trained_size, COUNT, options.sheet
    )
    for name, value in figures.items():
        print(f"{name}: {value:.1f} dB")
    return 0


def measure(weights: Path, size: int, count: int, file: Path | None, steps: int | None = None) -> dict[str, float]:
    """Edit held-out drawings; peak signal-to-noise ratios in dB of each row, and a sheet of the rows if asked for.

    steps: of inversion and sampling, if not the card's.
    """
    # Some scenes of held-out triples, the same each time, in places that no training drawing has
    rng = Random("sheet of edits")
    scenes = [
        replace(scene, seed=FIRST_UNSEEN_SEED + rng.getrandbits(31)) for scene in rng.sample(held_out_scenes(), count)
    ]
    following = [SUBJECTS[(SUBJECTS.index(scene.subject) + 1) % len(SUBJECTS)] for scene in scenes]
    edits = [replace(scene, subject=subject) for scene, subject in zip(scenes, following, strict=True)]
    sources, truths = _drawn(scenes, size), _drawn(edits, size)
    outside = torch.stack([_outside(*pair, size) for pair in zip(scenes, edits, strict=True)])
    rows, figures = [sources], {}
    for name, recipe in RECIPES.items():
        told = f"defaults steps={steps}\n" if steps and "invert" in recipe else ""
        text = f'model "{weights.resolve()}"\n{told}{recipe}'
        made = [_made(text, *pair) for pair in zip(sources, scenes, edits, strict=True)]
        rows.append(torch.stack(made))
        figures[f"{name}, outside the region"] = _psnr(rows[-1], sources, outside)
        figures[f"{name}, over all"] = _psnr(rows[-1], truths if "{change}" in recipe else sources)
    if file:
        sheet([*rows, truths], file)
    return figures


def _drawn(scenes: Sequence[Scene], size: int) -> Tensor:
    pixels = [torch.from_numpy(np.array(render(scene, size))) for scene in scenes]
    return torch.stack(pixels).permute(0, 3, 1, 2) / 255


def _outside(before: Scene, after: Scene, size: int) -> Tensor:
    region = torch.from_numpy(np.array(edited_region(before, after, size)))
    return (region == 0).expand(3, *region.shape)


def _made(recipe: str, source: Tensor, before: Scene, after: Scene) -> Tensor:
    text = recipe.replace("{change}", f'"{before.subject}"->"{after.subject}"')
    result = retouch.recipe(text)(source, caption=before.caption())
    return torch.from_numpy(np.array(result.image.convert("RGB"))).permute(2, 0, 1) / 255


def _psnr(made: Tensor, answers: Tensor, where: Tensor | None = None) -> float:
    """Mean over the pictures, in decibels; at most 100 of them, where two pictures are equal."""
    where = torch.ones_like(answers, dtype=torch.bool) if where is None else where
    errors = [(a - b)[chosen].square().mean() for a, b, chosen in zip(made, answers, where, strict=True)]
    return float((-10 * torch.stack(errors).clamp(min=1e-10).log10()).mean())


if __name__ == "__main__":
    sys.exit(main())
