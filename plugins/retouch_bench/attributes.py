"""`retouch bench attributes`: DiffusionCLIP, which tunes a model an attribute, on drawings that it never saw.

Kim et al. 2022, arXiv:2110.02711: one attribute, two at once (sec. 3.4), and a domain that the tuning never saw.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from retouch_bench.alone import Case, measured, parser, settings, write

EDITS, STEPS, SEED, LEARNT_FROM = 50, 40, 404, 30  # steps of the whole schedule, of which each way is half
_TUNED = 'variant="efficient" rounds=2 lr=0.00015 growth=1 l1=0.3 inversion_steps=12 tuning_steps=3'  # recipes/tuned


@dataclass(frozen=True)
class Change:
    """What is written of a change in drawings: of such that have the values before, to the values after.

    text: the recipe of a line of the table; of what a tuning learns, its options.
    """

    text: str
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]


ATTRIBUTES: Mapping[str, Change] = {
    "mosaic": Change('source="a drawing" target="as a mosaic"', {}, {"style": "mosaic"}),
    "yellow": Change(
        'source="orange" target="yellow" templates=["a _ cat in a meadow", "a _ car at night", "a _ bird on a beach", '
        '"a _ house in a desert"]',
        {"color": "orange"},
        {"color": "yellow"},
    ),
}
BOTH = {"style": "mosaic", "color": "yellow"}
_UP = 'invert ddim convention="source" strength=0.5'
_DOWN = "guide cfg guidance=1"
_NEAR = f"invert sdedit strength=0.5 | {_DOWN}"  # what the model itself makes of a drawing that is half noise
METHODS: Mapping[str, Change] = {
    "mosaic": Change(f"{_UP} | {{mosaic}} | {_DOWN}", {}, {"style": "mosaic"}),
    "yellow": Change(f"{_UP} | {{yellow}} | {_DOWN}", {"color": "orange"}, {"color": "yellow"}),
    "both, in turns": Change(f"{_UP} | {{yellow}} | {{mosaic}} start=0.5 | {_DOWN}", {"color": "orange"}, BOTH),
    "both, weights added": Change(
        f'{_UP} | {{mosaic}} | {{yellow}} mix="weights" | {_DOWN}', {"color": "orange"}, BOTH
    ),
    "both, changes added": Change(
        f'{_UP} | {{mosaic}} | {{yellow}} mix="changes" | {_DOWN}', {"color": "orange"}, BOTH
    ),
    "mosaic, of watercolours": Change(f"{_UP} | {{mosaic}} | {_DOWN}", {"style": "watercolor"}, {"style": "mosaic"}),
    "… drawn anew first": Change(
        f"{_NEAR} | {_UP} | {{mosaic}} | {_DOWN}", {"style": "watercolor"}, {"style": "mosaic"}
    ),
}
FIGURES = ("success", "asked", "kept", "psnr_outside", "structure", "image_text", "rows", "seconds")


def main(argv: Sequence[str]) -> int:
    """Tune what is not tuned yet, measure or go on measuring, and write the table."""
    made = parser("attributes", "Measure DiffusionCLIP on drawings that it never saw.", EDITS, STEPS, SEED)
    made.add_argument("--only", nargs="*", choices=list(METHODS), metavar="METHOD", help="these lines alone")
    args = made.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    methods = {name: METHODS[name] for name in args.only or METHODS}
    for name in ATTRIBUTES:
        if any(f"{{{name}}}" in each.text for each in methods.values()):
            tuned(name, args)
    write(list(measured(_cases(args, methods), args)), list(methods), FIGURES, args)
    return 0


def tuned(name: str, args: argparse.Namespace) -> Path:
    """The file of what was learnt of an attribute, from drawings of this run's seed; learnt if it is not there."""
    import retouch
    from retouch.api.models import find_model
    from retouch_storybook.world import held_out_scenes, render, sample

    file, attribute = args.out / f"{name}.safetensors", ATTRIBUTES[name]
    if file.exists():
        return file
    rng, folder = Random(f"retouch bench attributes {args.seed} {name}"), args.out / "learnt" / name
    folder.mkdir(parents=True, exist_ok=True)
    known = {(each.subject, each.color, each.setting) for each in held_out_scenes()}
    scenes: list[Any] = []
    while len(scenes) < LEARNT_FROM:
        scene = replace(sample(rng), style=None, **attribute.before)
        if (scene.subject, scene.color, scene.setting) not in known:
            scenes.append(scene)
    for i, scene in enumerate(scenes):
        render(scene, find_model(args.model).trained_size).save(folder / f"{i:02d}.png")
    began = time.process_time()
    learn = f'tune diffusionclip {attribute.text} pictures="learnt/{name}/*.png" {_TUNED}'
    result = retouch.recipe(f'model "{args.model}"\n{learn} | save weights "{file.name}"', args.out.resolve())()
    print(f"{name}: {result.cost} rows, {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)
    return file


def _cases(args: argparse.Namespace, methods: Mapping[str, Change]) -> Iterator[Case]:
    """Every method on drawings that nothing was learnt from, method by method."""
    from retouch.api.models import find_model
    from retouch_bench.drawn import Drawn

    size = find_model(args.model).trained_size
    for name, method in methods.items():
        for edit in edits(name, method, args.edits, args.seed):
            yield Case(name, Drawn(edit, args.out / "drawings", size), flow(method.text, args))


def edits(name: str, method: Change, number: int, seed: int) -> list[Any]:
    """Held-out scenes before and after; two methods on the same kind of drawing have the same ones."""
    from retouch_bench.edits import HeldOutEdit
    from retouch_storybook.world import FIRST_UNSEEN_SEED, held_out_scenes

    rng = Random(f"retouch bench attributes {seed}")
    fixed = {each: value for each, value in method.before.items() if each != "style"}
    scenes = [each for each in held_out_scenes() if all(getattr(each, key) == fixed[key] for key in fixed)]
    found = []
    for i in range(number):
        before = replace(rng.choice(scenes), seed=FIRST_UNSEEN_SEED + rng.getrandbits(31), **method.before)
        found.append(HeldOutEdit(i, name, before, replace(before, **method.after)))
    return found


def flow(recipe: str, args: argparse.Namespace) -> str:
    """The recipe, with the files that were learnt."""
    for name in ATTRIBUTES:
        file = (args.out / f"{name}.safetensors").resolve().as_posix()
        recipe = recipe.replace(f"{{{name}}}", f'tune weights "{file}"')
    return f"{settings(args)}\n{recipe}"
