"""Edits made one after another, or a few at once, by recipes with names: what benchmarks of few edits share."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from retouch_bench.journal import Journal, key_of
from retouch_bench.quality import count
from retouch_bench.table import COLUMNS, Column, estimate

JOURNAL = "measured.jsonl"
COLUMN: Mapping[str, Column] = {
    **COLUMNS,
    "of_draws": Column("of all draws %", 100, 0),
    "in_draws": Column("a right one was there %", 100, 0),
    "where_alone": Column("asked, where each alone is read %", 100, 0),
    "changed": Column("pixels changed outside", 1, 0),
}
ONCE = ("rows", "seconds", "changed")  # figures whose spread says nothing of the method


@dataclass(frozen=True)
class Case:
    """One edit by one method.

    drawn: Drawn  # the edit with its pictures
    recipe: what is run, whole.
    truth: whether on the exact answer instead of the source, to see what a codec costs.
    place: a mask's file, outside which no byte may change.
    """

    method: str
    drawn: Any
    recipe: str
    truth: bool = False
    place: Path | None = None


def measured(cases: Iterable[Case], args: argparse.Namespace, together: int = 1) -> Iterator[dict[str, Any]]:
    """A record for each case, in their order, from the journal where one is there; begins none when time is up.

    together: how many edits in a row by one recipe are made in one run, whose calls of the network they share.
    """
    from retouch.api.models import find_model
    from retouch_bench.measure import Eyes

    model, eyes, until = find_model(args.model), Eyes(), time.monotonic() + args.seconds
    journal = Journal(args.out / JOURNAL, key_of)
    for _, alike in groupby(cases, key=lambda case: (case.method, case.recipe)):
        while some := list(islice(alike, together)):
            keys = [(case.drawn.edit.name, case.recipe, model.digest) for case in some]
            left = [each for each in zip(keys, some, strict=True) if not journal.at(each[0])]
            if left and time.monotonic() < until:
                made = zip(left, _made([case for _, case in left], args.out, eyes), strict=True)
                journal.add(
                    {"key": key, "method": case.method, "kind": case.drawn.edit.kind, **figures}
                    for (key, case), figures in made
                )
                for _, case in left:
                    print(case.drawn.edit.name, case.method, file=sys.stderr, flush=True)
            for key, case in zip(keys, some, strict=True):
                if record := journal.at(key):
                    yield {**record, "method": case.method}


def _made(cases: Sequence[Case], out: Path, eyes: Any) -> list[dict[str, Any]]:
    """Figures of the picture that is made of each case of one recipe, or of the first of several.

    Seconds are the processor's, of one thread; of several cases each has its share by rows.
    """
    import retouch
    from retouch_bench.drawn import read
    from retouch_bench.measure import Truth, seen

    on = [case.drawn.truth if case.truth else case.drawn.source for case in cases]
    recipe, before = retouch.recipe(cases[0].recipe, allow=(out,)), time.process_time()
    results = recipe(on, caption=[case.drawn.edit.before.caption() for case in cases])
    for each in results:
        if each.error:
            raise each.error
    spent = time.process_time() - before
    # They ran together, so each takes its part of the time by the rows that it asked for.
    shares = [max(each.cost, 1) for each in results]
    found = []
    for case, result, source, share in zip(cases, results, on, shares, strict=True):
        folder, edit = out / case.method, case.drawn.edit
        folder.mkdir(exist_ok=True)
        pictures = []
        for i, image in enumerate(result.images):
            path = folder / (f"{edit.name}-{i + 1}.png" if i else f"{edit.name}.png")
            image.save(path)
            pictures.append(read(path))
        figures = seen(Truth(case.drawn), pictures, eyes)
        right = [float(each["success"] or 0) for each in figures]
        several = {"of_draws": sum(right) / len(right), "in_draws": max(right)} if len(right) > 1 else {}
        outside = {} if case.place is None else {"changed": changed(read(source), pictures, read(case.place))}
        seconds = round(spent * share / sum(shares), 2)
        found.append({**figures[0], **several, **outside, "rows": result.cost, "seconds": seconds})
    return found


def changed(source: Any, pictures: Sequence[Any], place: Any) -> int:
    """How many pixels differ from the source outside a place, in all of these pictures.  [3, H, W] each -> pixels"""
    return sum(int(((each != source).any(0) & (place[0] == 0)).sum()) for each in pictures)


def write(records: Sequence[Mapping[str, Any]], methods: Sequence[str], columns: Sequence[str], args: Any) -> None:
    """Print the table, and leave it in the folder beside what it is made of."""
    table = markdown(records, methods, columns)
    (args.out / f"{args.name}.md").write_text(table)
    (args.out / f"{args.name}.json").write_text(json.dumps(records, indent=1))
    print(table)


def markdown(records: Sequence[Mapping[str, Any]], methods: Sequence[str], columns: Sequence[str]) -> str:
    """A row for each method, with half of the interval that holds 95 % of resampled means."""
    heads = ["method", "edits", *(COLUMN[name].heading for name in columns)]
    lines = [heads, ["---"] * len(heads)]
    for name in methods:
        mine = [each for each in records if each["method"] == name]
        lines.append([name.replace("|", "\\|"), str(len(mine)), *(_cell(figure, mine) for figure in columns)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(figure: str, records: Sequence[Mapping[str, Any]]) -> str:
    column, found = COLUMN[figure], estimate([each.get(figure) for each in records])
    if found is None:
        return ""
    half = (found["high"] - found["low"]) / 2 * column.factor
    spread = "" if figure in ONCE else f" ± {half:.{column.digits}f}"
    return f"{found['mean'] * column.factor:.{column.digits}f}{spread}"


def parser(name: str, said: str, edits: int, steps: int, seed: int) -> argparse.ArgumentParser:
    """What all of them are told on the command line, with these defaults."""
    made = argparse.ArgumentParser(prog=f"retouch bench {name}", description=f"{said}  What was stopped goes on.")
    made.add_argument("--edits", type=count, default=edits, metavar="N", help=f"how many edits; {edits} by default")
    made.add_argument("--steps", type=count, default=steps, metavar="N", help=f"of every walk; {steps} by default")
    made.add_argument("--seconds", type=float, default=float("inf"), metavar="N", help="begin no edit after so many")
    made.add_argument(
        "--seed", type=int, default=seed, metavar="N", help=f"of the edits and of all noise; {seed} by default"
    )
    made.add_argument("--model", default="storybook", metavar="M", help="a model's name")
    folder = Path(f"out/bench-{name}")
    made.add_argument("-o", dest="out", type=Path, default=folder, metavar="DIR", help=str(folder))
    made.set_defaults(name=name)
    return made


def settings(args: argparse.Namespace) -> str:
    """The statements that every recipe begins with."""
    return f'model "{args.model}"\ndefaults steps={args.steps} seed={args.seed}'
