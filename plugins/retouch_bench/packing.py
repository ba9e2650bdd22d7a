"""`retouch bench packing`: how many calls of the denoiser pictures share, when they are edited together."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retouch_bench.quality import count

PICTURES, STEPS = 16, 5
RECIPE = "invert ddim {change} | mask diffedit | blend latent"


def main(argv: Sequence[str]) -> int:
    """Count the calls for 1, 2, 4 … pictures, each alone and all together."""
    parser = argparse.ArgumentParser(
        prog="retouch bench packing", description="Count the calls that pictures share when they are edited together."
    )
    parser.add_argument(
        "-e", dest="text", default=RECIPE, metavar="TEXT", help=f"the recipe, {{change}} being the edit: {RECIPE}"
    )
    parser.add_argument("--pictures", type=count, default=PICTURES, metavar="N", help=f"at most; {PICTURES} by default")
    parser.add_argument("--steps", type=count, default=STEPS, metavar="N", help=f"of each walk; {STEPS} by default")
    parser.add_argument("--model", default="storybook", metavar="M", help="a model's name or folder")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu by default")
    parser.add_argument("--json", action="store_true", help="answer as JSON, for programs")
    parser.add_argument(
        "-o", dest="out", type=Path, default=Path("out/bench-packing"), metavar="DIR", help="out/bench-packing"
    )
    args = parser.parse_args(argv)
    found = list(_counted(args))
    if args.json:
        print(json.dumps(found))
        return 0
    print("| pictures | calls alone | together | times fewer | of each call full | seconds alone | together |")
    print("|---|---|---|---|---|---|---|")
    for row in found:
        fewer = row["calls_alone"] / row["calls"]
        times = f"{row['seconds_alone']:.1f} | {row['seconds']:.1f}"
        print(
            f"| {row['pictures']} | {row['calls_alone']} | {row['calls']} | {fewer:.1f} | {row['full']:.0%} | {times} |"
        )
    return 0


def _counted(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import time

    from retouch.api.checking import load_registry
    from retouch.api.commands import WrongCommand
    from retouch.api.models import find_model
    from retouch.api.running import RunResult, Settings, execute
    from retouch_bench.drawn import Drawn
    from retouch_bench.edits import held_out_edits
    from retouch_bench.pairs import Entry
    from retouch_bench.work import Surroundings, read

    installed, model = load_registry(), find_model(args.model)
    surroundings = Surroundings(installed, args.model, args.steps, 0, args.out / "pictures")
    entry = Entry("packing", "alone and together", args.text)
    graphs = []
    for edit in held_out_edits(args.pictures):
        work = read(Drawn(edit, args.out / "drawings", model.trained_size), [entry], surroundings)
        for error in work.refused.values():
            raise WrongCommand(f"the recipe is refused: {error.code}: {error.message}")
        graphs.append(work.graph)

    def run(chosen: Sequence[Any]) -> tuple[RunResult, float]:
        began = time.monotonic()
        result = execute(chosen, registry=installed, settings=Settings(args.device), keep=False)
        return result, time.monotonic() - began

    run(graphs[:1])  # whatever is done once in a process is done now
    alone = [(result.denoiser_calls, seconds) for result, seconds in (run([graph]) for graph in graphs)]
    for some in [2**power for power in range(args.pictures.bit_length())]:
        result, seconds = run(graphs[:some])
        calls = [call for call in result.calls if call.kind in ("denoise", "gradient")]
        yield {
            "pictures": some,
            "rows": sum(call.rows for call in calls),
            "calls": len(calls),
            "calls_alone": sum(calls for calls, _ in alone[:some]),
            "full": sum(call.rows for call in calls) / sum(call.bucket for call in calls),
            "seconds": seconds,
            "seconds_alone": sum(seconds for _, seconds in alone[:some]),
        }
