"""`retouch bench painted`: things added in a place that somebody painted, by Blended Diffusion.

Avrahami et al. 2022, arXiv:2111.14818.  The place is the true region and a few pixels round it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retouch_bench.alone import Case, measured, parser, settings, write

KIND = "add"
EDITS, STEPS, SEED = 40, 25, 404  # of a seed that no setting was found on
AROUND = 4  # pixels
DRAWS = 8
TRUTH, CODEC = "the truth through the VAE", "encode | decode"


def _drawn(weight: int, spread: str = "") -> str:
    return (
        f'draw (invert sdedit {{change}} strength=90% begin="noise" | guide image_text weight={weight} sees="picture"'
        f" looks=4{spread} | solver ddpm | blend latent | blend pixel) seeds={{draws}}"
        f' | rank image_text sees="picture" looks=8{spread} keep={{keep}}'
    )


METHODS: Mapping[str, str] = {  # the flows of recipes/blended_diffusion.retouch and blended_latents.retouch
    "Blended Diffusion in pixels": f'{{place}} | model "storybook_pixels" | {_drawn(500, " spread=30%")}',
    "Blended Diffusion in latents": f"{{place}} | {_drawn(200)}",
}
FIGURES = ("success", "asked", "kept", "of_draws", "in_draws", "psnr_inside", "changed", "rows", "seconds")


def main(argv: Sequence[str]) -> int:
    """Measure, or go on measuring, and write the table."""
    made = parser("painted", "Measure how often what is added in a painted place reads right.", EDITS, STEPS, SEED)
    made.add_argument("--draws", type=int, default=DRAWS, metavar="N", help=f"of each edit; {DRAWS} by default")
    recipe = "this recipe instead, in which {change}, {place}, {draws} and {keep} stand for an edit's; often if need be"
    made.add_argument("-e", dest="recipes", action="append", default=[], metavar="RECIPE", help=recipe)
    args = made.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    recipes = {each: each for each in args.recipes} or METHODS
    write(list(measured(_cases(args, recipes), args)), [TRUTH, *recipes], FIGURES, args)
    return 0


def _cases(args: Any, recipes: Mapping[str, str]) -> Iterator[Case]:
    """Every edit by a method, method by method: the truth first, which costs least, the last method last."""
    from retouch.api.models import find_model
    from retouch_bench.drawn import Drawn
    from retouch_bench.edits import KINDS, held_out_edits

    size = find_model(args.model).trained_size
    edits = [edit for edit in held_out_edits(len(KINDS) * args.edits, args.seed) if edit.kind == KIND]
    drawn = [Drawn(edit, args.out / "drawings", size) for edit in edits]
    for each in drawn:
        yield Case(TRUTH, each, f'model "{args.model}"\n{CODEC}', truth=True)
    for name, recipe in recipes.items():
        for each in drawn:
            yield Case(name, each, flow(recipe, each.edit, painted(each), args), place=painted(each))


def painted(drawn: Any) -> Path:
    """The file of a mask as somebody would paint it: white over what changes and a margin."""
    from PIL import Image
    from torch.nn import functional as F

    def draw() -> Image.Image:
        touched = (drawn.region > 0).float()[None, None]
        wide = F.max_pool2d(touched, 2 * AROUND + 1, 1, AROUND)[0, 0]
        return Image.fromarray((wide * 255).byte().numpy())

    return drawn.kept("place", draw)


def flow(recipe: str, edit: Any, place: Path, args: Any) -> str:
    """The recipe for one edit."""
    told = {
        "change": edit.change,
        "place": f'mask file "{place.resolve().as_posix()}"',
        "draws": str(args.draws),
        "keep": str(list(range(1, args.draws + 1))) if args.draws > 1 else "1",
    }
    for name, text in told.items():
        recipe = recipe.replace(f"{{{name}}}", text)
    return f"{settings(args)}\n{recipe}"
