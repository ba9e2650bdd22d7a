"""`retouch bench tuning`: what models that learn one picture make of edits that change it a lot.

The kinds are those of TEdBench (Kawar et al. 2023, arXiv:2210.09276) that the drawn world has words for: another thing,
another place, something added, another colour, and several of these.  It has no word for a pose.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retouch_bench.journal import Journal, key_of
from retouch_bench.quality import count

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
JOURNAL = "measured.jsonl"
FIGURES = ("success", "asked", "kept", "psnr_outside", "psnr_truth", "structure", "image_text", "rows", "seconds")


def main(argv: Sequence[str]) -> int:
    """Measure, or go on measuring, and write the table."""
    parser = argparse.ArgumentParser(
        prog="retouch bench tuning",
        description="Measure the methods that learn one picture, beside one that does not.  What was stopped goes on.",
    )
    recipe = "this recipe instead, in which {change} stands for the edit, {caption} for what is shown; often if need be"
    parser.add_argument("-e", dest="recipes", action="append", default=[], metavar="RECIPE", help=recipe)
    parser.add_argument("--edits", type=count, default=EDITS, metavar="N", help=f"how many edits; {EDITS} by default")
    parser.add_argument("--steps", type=count, default=STEPS, metavar="N", help=f"of every walk; {STEPS} by default")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="N", help="begin no edit after so many")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the edits and of all noise; 0 by default")
    parser.add_argument("--model", default="storybook", metavar="M", help="a model's name")
    parser.add_argument(
        "-o", dest="out", type=Path, default=Path("out/bench-tuning"), metavar="DIR", help="out/bench-tuning"
    )
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    recipes = dict(zip(args.recipes, args.recipes, strict=True)) or METHODS
    records = list(measured(args, recipes))
    table = markdown(records, list(recipes))
    (args.out / "tuning.md").write_text(table)
    (args.out / "tuning.json").write_text(json.dumps(records, indent=1))
    print(table)
    return 0


def measured(args: argparse.Namespace, recipes: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A record for each edit and recipe, edit by edit, from the journal where one is there; stops when time is up."""
    from retouch.api.models import find_model
    from retouch_bench.drawn import Drawn
    from retouch_bench.measure import Eyes

    model, eyes, until = find_model(args.model), Eyes(), time.monotonic() + args.seconds
    journal = Journal(args.out / JOURNAL, key_of)
    for edit in edits(args.edits, args.seed):
        drawn = Drawn(edit, args.out / "drawings", model.trained_size)
        for name, recipe in recipes.items():
            text = flow(recipe, edit, args)
            key = (edit.name, text, model.digest)
            if not journal.at(key) and time.monotonic() < until:
                figures = _made(text, drawn, args.out / name, eyes)
                journal.add([{"key": key, "method": name, "kind": edit.kind, **figures}])
                print(edit.name, name, file=sys.stderr, flush=True)
            if record := journal.at(key):
                yield {**record, "method": name}


def edits(number: int, seed: int) -> list[Any]:
    """The first edits of these kinds in the list of `retouch bench quality`, so that the figures of both compare."""
    from retouch_bench.edits import held_out_edits

    return [edit for edit in held_out_edits(2 * number + 7, seed) if edit.kind in KINDS][:number]


def flow(recipe: str, edit: Any, args: argparse.Namespace) -> str:
    """The recipe for one edit."""
    settings = f'model "{args.model}"\ndefaults steps={args.steps} seed={args.seed}'
    return f"{settings}\n{recipe.replace('{change}', edit.change).replace('{caption}', edit.before.caption())}"


def _made(text: str, drawn: Any, folder: Path, eyes: Any) -> dict[str, Any]:
    """Figures of one edit, tuned and made alone; seconds are the processor's, of one thread."""
    import retouch
    from retouch_bench.drawn import read
    from retouch_bench.measure import Truth, seen

    recipe, before = retouch.recipe(text), time.process_time()
    result = recipe(drawn.source, caption=drawn.edit.before.caption())
    seconds = time.process_time() - before
    folder.mkdir(exist_ok=True)
    path = folder / f"{drawn.edit.name}.png"
    result.image.save(path)
    (figures,) = seen(Truth(drawn), [read(path)], eyes)
    return {**figures, "rows": result.cost, "seconds": round(seconds, 2)}


def markdown(records: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> str:
    """A row for each method, with half of the interval that holds 95 % of resampled means."""
    from retouch_bench.table import COLUMNS

    heads = ["method", "edits", *(COLUMNS[name].heading for name in FIGURES)]
    lines = [heads, ["---"] * len(heads)]
    for name in methods:
        mine = [each for each in records if each["method"] == name]
        lines.append([name.replace("|", "\\|"), str(len(mine)), *(_cell(figure, mine) for figure in FIGURES)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(figure: str, records: Sequence[Mapping[str, Any]]) -> str:
    from retouch_bench.table import COLUMNS, estimate

    column, found = COLUMNS[figure], estimate([each[figure] for each in records])
    if found is None:
        return ""
    half = (found["high"] - found["low"]) / 2 * column.factor
    spread = "" if figure in ("rows", "seconds") else f" ± {half:.{column.digits}f}"
    return f"{found['mean'] * column.factor:.{column.digits}f}{spread}"
