"""`retouch bench attributes`: DiffusionCLIP, which tunes a model an attribute, on drawings that it never saw.

Kim et al. 2022, arXiv:2110.02711: one attribute, two at once (sec. 3.4), and a domain that the tuning never saw.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from retouch_bench.alone import Case, measured, parser, settings, write
from retouch_bench.quality import count

EDITS, SEED, LEARNT_FROM, TOGETHER = 50, 404, 30, 10
STEPS = 40  # of the whole schedule, of which each way is half


@dataclass(frozen=True)
class Attribute:
    """What a tuning learns, how, and what is fixed in the drawings that it learns from."""

    words: str
    settings: str
    before: Mapping[str, str | None]


_EFFICIENT = 'variant="efficient" rounds={} lr=0.00015 growth={} l1=0.3 inversion_steps=12 tuning_steps=3'
ATTRIBUTES: Mapping[str, Attribute] = {  # as recipes/tuned has them
    "mosaic": Attribute(
        'source="as a drawing" target="as a mosaic" templates=["a cat in a meadow _", "a car at night _", '
        '"a bird on a beach _", "a house in a desert _"]',
        _EFFICIENT.format(3, 1.2),
        {},
    ),
    "yellow": Attribute(
        'source="orange" target="yellow" templates=["a _ cat in a meadow", "a _ car at night", "a _ bird on a beach", '
        '"a _ house in a desert"]',
        _EFFICIENT.format(2, 1),
        {"color": "orange"},
    ),
}


@dataclass(frozen=True)
class Method:
    """A line of the table: what is walked, on drawings of what, to what."""

    recipe: str
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    strokes: bool = False  # whether of flat strokes in place of drawings
    alone: Sequence[str] = ()  # of two attributes at once: the lines that have one of them on the same drawings


_UP, _DOWN = 'invert ddim convention="source" strength=0.5', "guide cfg guidance=1"
_ORANGE, _YELLOW, _MOSAIC = {"color": "orange"}, {"color": "yellow"}, {"style": "mosaic"}
_BOTH, _ALONE = {**_MOSAIC, **_YELLOW}, ("yellow", "mosaic, of orange ones")
# What is to change is not said on the way down: words that say it bring it back, since the model reads them.
_UNSAID = _UP.replace("ddim", 'ddim "an orange"->"a"')
_PLAIN = _UP.replace("ddim", 'ddim "as a watercolor"->""')
METHODS: Mapping[str, Method] = {
    "yellow": Method(f"{_UNSAID} | {{yellow}} | {_DOWN}", _ORANGE, _YELLOW),
    "mosaic": Method(f"{_UP} | {{mosaic}} | {_DOWN}", {}, _MOSAIC),
    "mosaic, of orange ones": Method(f"{_UNSAID} | {{mosaic}} | {_DOWN}", _ORANGE, _MOSAIC),
    "both, weights added": Method(
        f'{_UNSAID} | {{mosaic}} | {{yellow}} mix="weights" | {_DOWN}', _ORANGE, _BOTH, alone=_ALONE
    ),
    "… and orange said": Method(
        f'{_UP} | {{mosaic}} | {{yellow}} mix="weights" | {_DOWN}', _ORANGE, _BOTH, alone=_ALONE
    ),
    "both, changes added": Method(
        f'{_UNSAID} | {{mosaic}} | {{yellow}} mix="changes" | {_DOWN}', _ORANGE, _BOTH, alone=_ALONE
    ),
    "both, half of each": Method(
        f"{_UNSAID} | {{mosaic}} | {{yellow}} ratio=0.5 | {_DOWN}", _ORANGE, _BOTH, alone=_ALONE
    ),
    "both, in turns": Method(f"{_UNSAID} | {{yellow}} | {{mosaic}} start=0.5 | {_DOWN}", _ORANGE, _BOTH, alone=_ALONE),
    "mosaic, of watercolours": Method(f"{_PLAIN} | {{mosaic}} | {_DOWN}", {"style": "watercolor"}, _MOSAIC),
    "… drawn plainly first": Method(
        f'invert sdedit "as a watercolor"->"" strength=0.5 | {_DOWN} | {_UP} | {{mosaic}} | {_DOWN}',
        {"style": "watercolor"},
        _MOSAIC,
    ),
    "mosaic, of strokes": Method(f"{_UP} | {{mosaic}} | {_DOWN}", {}, _MOSAIC, strokes=True),
    "… drawn by the model first": Method(
        f"invert sdedit strength=0.5 | {_DOWN} | {_UP} | {{mosaic}} | {_DOWN}", {}, _MOSAIC, strokes=True
    ),
}
FIGURES = ("success", "asked", "kept", "where_alone", "psnr_outside", "structure", "image_text", "rows", "seconds")


def main(argv: Sequence[str]) -> int:
    """Tune what is not tuned yet, measure or go on measuring, and write the tables."""
    made = parser("attributes", "Measure DiffusionCLIP on drawings that it never saw.", EDITS, STEPS, SEED)
    made.add_argument("--only", nargs="*", choices=list(METHODS), metavar="METHOD", help="these lines alone")
    made.add_argument("--together", type=count, default=TOGETHER, metavar="N", help=f"drawings a run; {TOGETHER}")
    args = made.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    methods = {name: METHODS[name] for name in args.only or METHODS}
    used = [name for name in ATTRIBUTES if any(f"{{{name}}}" in each.recipe for each in methods.values())]
    print(markdown_of({name: learnt(name, args) for name in used}), flush=True)
    records = where_alone(list(measured(_cases(args, methods), args, args.together)))
    write(records, list(methods), FIGURES, args)
    return 0


def learnt(name: str, args: argparse.Namespace) -> Mapping[str, float]:
    """Learn an attribute from drawings of this run's seed, if that is not done; what it took.

    It stands beside the weights, in a process of its own, whose memory is that of the tuning.
    """
    from retouch.api.models import find_model
    from retouch_bench.spent import run
    from retouch_storybook.world import held_out_scenes, render, sample

    file, attribute = args.out / f"{name}.safetensors", ATTRIBUTES[name]
    told = file.with_suffix(".json")
    if file.exists() and told.exists():
        return json.loads(told.read_text())
    rng, folder = Random(f"retouch bench attributes {args.seed} {name}"), args.out / "learnt" / name
    folder.mkdir(parents=True, exist_ok=True)
    # What the benchmark edits must not have been learnt from.
    known = {(each.subject, each.color, each.setting) for each in held_out_scenes()}
    scenes: list[Any] = []
    while len(scenes) < LEARNT_FROM:
        scene = replace(sample(rng), style=None, **attribute.before)
        if (scene.subject, scene.color, scene.setting) not in known:
            scenes.append(scene)
    for i, scene in enumerate(scenes):
        render(scene, find_model(args.model).trained_size).save(folder / f"{i:02d}.png")
    learn = f'tune diffusionclip {attribute.words} pictures="learnt/{name}/*.png" {attribute.settings}'
    spent = run(f'model "{args.model}"\n{learn} | save weights "{file.name}"', "--force", folder=args.out)
    told.write_text(json.dumps({"drawings": len(scenes), **spent._asdict()}))
    return json.loads(told.read_text())


def markdown_of(learnt: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each attribute that was learnt."""
    lines = ["| learnt | drawings | seconds of the processor | peak, GB |", "| --- | --- | --- | --- |"]
    for name, each in learnt.items():
        lines.append(f"| {name} | {each['drawings']} | {each['cpu_seconds']:.0f} | {each['peak_gb']:.2f} |")
    return "\n".join(lines) + "\n"


def where_alone(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same; those of two attributes at once say whether they are right where each of both alone is read."""

    def place(record: Mapping[str, Any], method: str) -> tuple[str, str]:
        return method, record["key"][0].partition("-")[0]  # edits are called by a number and their method

    asked = {place(each, each["method"]): each["asked"] for each in records}
    found = []
    for each in records:
        alone = [asked.get(place(each, name)) for name in METHODS[each["method"]].alone]
        found.append({**each, "where_alone": each["asked"] if alone and all(alone) else None})
    return found


def _cases(args: argparse.Namespace, methods: Mapping[str, Method]) -> Iterator[Case]:
    """Every method on drawings that nothing was learnt from, method by method."""
    from retouch.api.models import find_model
    from retouch_bench.drawn import Drawn, Strokes

    size = find_model(args.model).trained_size
    for name, method in methods.items():
        drawn = Strokes if method.strokes else Drawn
        for edit in edits(name, method, args.edits, args.seed):
            yield Case(name, drawn(edit, args.out / "drawings", size), flow(method.recipe, args))


def edits(name: str, method: Method, number: int, seed: int) -> list[Any]:
    """Scenes before and after, whose drawings no training has seen; methods on one kind of drawing have the same ones.

    Of one colour one triple alone is held out, so the scenes are any, with seeds that no training draws.
    """
    from retouch_bench.edits import HeldOutEdit
    from retouch_storybook.world import FIRST_UNSEEN_SEED, sample

    rng = Random(f"retouch bench attributes {seed}, unseen")
    found = []
    for i in range(number):
        scene = replace(sample(rng), style=None)
        before = replace(scene, seed=FIRST_UNSEEN_SEED + rng.getrandbits(31), **method.before)
        found.append(HeldOutEdit(i, name, before, replace(before, **method.after)))
    return found


def flow(recipe: str, args: argparse.Namespace) -> str:
    """The recipe, with the files that were learnt."""
    for name in ATTRIBUTES:
        file = (args.out / f"{name}.safetensors").resolve().as_posix()
        recipe = recipe.replace(f"{{{name}}}", f'tune weights "{file}"')
    return f"{settings(args)}\n{recipe}"
