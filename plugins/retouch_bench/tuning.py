"""`retouch bench tuning`: what models that learn one picture make of edits that change it a lot.

The kinds are those of TEdBench (Kawar et al. 2023, arXiv:2210.09276) that the drawn world has words for: another thing,
another place, something added, another colour, and several of these.  It has no word for a pose.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retouch_bench.alone import Case, measured, parser, settings, write

KINDS = ("change object", "background", "add", "several", "change color")
EDITS, STEPS = 30, 20
# The subject is the picture's own, under its caption and a rare word, beside what the model makes of the caption.
_NAMED = 'prompt="{caption}, sks" class_prompt="{caption}"'
METHODS: Mapping[str, str] = {
    "edit_friendly": "invert edit_friendly {change}",
    "imagic": "tune imagic {change} | invert sdedit strength=1",
    "imagic, inverted": "tune imagic {change} | invert ddim",
    "unitune": "tune unitune | invert sdedit {change} strength=0.9",
    "sine": "tune sine | invert sdedit {change} strength=1 | guide sine",
    "dreambooth": f'tune dreambooth {_NAMED} | invert sdedit {{change}} +"sks" strength=0.9',
    "lora": f'tune lora {_NAMED} layers="attention" rank=8 iterations=100 lr=1e-3 class_pictures=8'
    ' | invert sdedit {change} +"sks" strength=0.9',
    "sine, inverted": "tune sine | invert ddim {change} | guide sine",
}
FIGURES = ("success", "asked", "kept", "psnr_outside", "psnr_truth", "structure", "image_text", "rows", "seconds")


def main(argv: Sequence[str]) -> int:
    """Measure, or go on measuring, and write the table."""
    made = parser("tuning", "Measure the methods that learn one picture, beside one that does not.", EDITS, STEPS, 0)
    recipe = "this recipe instead, in which {change} stands for the edit, {caption} for what is shown; often if need be"
    made.add_argument("-e", dest="recipes", action="append", default=[], metavar="RECIPE", help=recipe)
    args = made.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    recipes = dict(zip(args.recipes, args.recipes, strict=True)) or METHODS
    write(list(measured(_cases(args, recipes), args)), list(recipes), FIGURES, args)
    return 0


def _cases(args: argparse.Namespace, recipes: Mapping[str, str]) -> Iterator[Case]:
    """Every method on an edit, edit by edit."""
    from retouch.api.models import find_model
    from retouch_bench.drawn import Drawn

    size = find_model(args.model).trained_size
    for edit in edits(args.edits, args.seed):
        for name, recipe in recipes.items():
            yield Case(name, Drawn(edit, args.out / "drawings", size), flow(recipe, edit, args))


def edits(number: int, seed: int) -> list[Any]:
    """The first edits of these kinds in the list of `retouch bench quality`, so that the figures of both compare."""
    from retouch_bench.edits import held_out_edits

    return [edit for edit in held_out_edits(2 * number + 7, seed) if edit.kind in KINDS][:number]


def flow(recipe: str, edit: Any, args: argparse.Namespace) -> str:
    """The recipe for one edit."""
    return f"{settings(args)}\n{recipe.replace('{change}', edit.change).replace('{caption}', edit.before.caption())}"
