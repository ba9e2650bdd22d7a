"""`retouch bench quality`: how right edits are, measured against their exact answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SUBSET_EDITS, SUBSET_STEPS = 14, 10  # two of each kind
EDITS, STEPS = 200, 20
WRONG_RECIPE = 1  # exit code
BEST = 2  # inversions that every editor is tried with


def main(argv: Sequence[str]) -> int:
    """Measure, or go on measuring, and write the tables and the page."""
    parser = argparse.ArgumentParser(
        prog="retouch bench quality",
        description="Measure every registered method on held-out edits whose true results are known. "
        "A run that was stopped goes on where it was.",
    )
    parser.add_argument("--subset", action="store_true", help=f"{SUBSET_EDITS} edits in {SUBSET_STEPS} steps: minutes")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_true", help=f"every editor with every inversion, not the best {BEST}")
    which.add_argument("--led", action="store_true", help="recipes led by gradients, with Prompt-to-Prompt beside them")
    which.add_argument(
        "-e",
        dest="recipes",
        action="append",
        default=[],
        metavar="RECIPE",
        help="this recipe instead, in which {change} stands for the edit; may be given many times",
    )
    parser.add_argument("--edits", type=count, metavar="N", help=f"how many edits; {EDITS} by default")
    parser.add_argument("--steps", type=count, metavar="N", help=f"of every walk; {STEPS} by default")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the edits and of all noise; 0 by default")
    parser.add_argument("--model", default="storybook", metavar="M", help="a model's name or folder")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu by default: there results are exact")
    parser.add_argument("--workers", type=count, metavar="N", help="processes of one thread; by default one a core")
    parser.add_argument(
        "-o", dest="out", type=Path, default=Path("out/bench-quality"), metavar="DIR", help="out/bench-quality"
    )
    args = parser.parse_args(argv)
    edits = args.edits or (SUBSET_EDITS if args.subset else EDITS)
    steps = args.steps or (SUBSET_STEPS if args.subset else STEPS)
    from retouch_bench.report import write

    found = _measure(args, edits, steps)
    for path in write(args.out, found) if found else ():
        print(path)
    return 0 if found else WRONG_RECIPE


def _measure(args: argparse.Namespace, edits: int, steps: int) -> Any:
    from retouch.api.checking import load_registry
    from retouch.api.models import find_model
    from retouch_bench import pairs
    from retouch_bench.drawn import Drawn
    from retouch_bench.edits import held_out_edits
    from retouch_bench.findings import Findings
    from retouch_bench.journal import Journal
    from retouch_bench.sharing import Bench, default_workers
    from retouch_bench.table import best_inversions, summaries
    from retouch_bench.work import Surroundings, told

    installed, model = load_registry(), find_model(args.model)
    chosen = held_out_edits(edits, args.seed)
    drawn = [Drawn(edit, args.out / "drawings", model.trained_size) for edit in chosen]
    surroundings = Surroundings(installed, args.model, steps, args.seed, args.out / "pictures")
    workers = args.workers or default_workers(args.device)
    own = pairs.given(pairs.LED if args.led else args.recipes)
    if wrong := [text for entry in own for text in told(entry, drawn[0], surroundings)]:
        _say("\n".join(wrong))
        return None
    bench = Bench(surroundings, Journal(args.out / "measured.jsonl"), args.device, _say, workers)
    first = [*pairs.BOUNDS, *(own or pairs.with_every_inversion(installed))]
    records = bench.measure(drawn, first)
    best = [] if own else best_inversions(summaries(records, first), BEST)
    inversions = installed.methods("invert") if args.full else best
    others = pairs.with_chosen_inversions(installed, inversions)
    records += bench.measure(drawn, others)
    settings = {"edits": edits, "steps": steps, "seed": args.seed, "full": args.full}
    return Findings(settings, model, args.device, best, drawn, surroundings.pictures, [*first, *others], records)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def count(text: str) -> int:
    """Read a number of things."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number
