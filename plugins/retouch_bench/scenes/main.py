"""`retouch bench scenes`: eight scenes, three edits of each, several ways; a journal, and a table of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retouch_bench.journal import Journal, key_of
from retouch_bench.quality import count


def main(argv: Sequence[str]) -> int:
    """Measure what is missing, and print the table of all that is known."""
    args = _parser().parse_args(argv)
    from retouch.api.commands import WrongCommand
    from retouch.api.models import find_model
    from retouch_bench.scenes.measuring import SceneMeasurer
    from retouch_bench.scenes.table import table
    from retouch_bench.scenes.truth import SolidTruth, SpaceTruth
    from retouch_bench.scenes.ways import BOUNDS, RECOMMENDED, WAYS, stages
    from retouch_storybook.popup import EDITS
    from retouch_storybook.solids import OUTDOORS, SOLID_EDITS

    solids = [name for name in SOLID_EDITS if name.partition("-")[0] in OUTDOORS]
    edits, ways = args.edits or (solids if args.world == "solids" else list(EDITS)), args.ways or []
    for given, known, what in ((edits, [*EDITS, *SOLID_EDITS], "edit"), (ways, [*BOUNDS, *WAYS], "way")):
        if wrong := [name for name in given if name not in known]:
            raise WrongCommand(f"no {what} is called '{wrong[0]}': {', '.join(known)}")
    model = find_model(args.model)
    journal = Journal(args.out / "measured.jsonl", key_of)
    measurer = SceneMeasurer(stages(), args.out, args.steps, args.seed, args.model)
    found: list[Any] = []
    for name in edits:
        many = {"views": args.views, "held": args.held, "size": model.trained_size}
        truth = SpaceTruth(EDITS[name], **many) if name in EDITS else SolidTruth(SOLID_EDITS[name], **many)
        for way in ways or [*BOUNDS, RECOMMENDED[truth.edit.kind]]:
            key = (name, WAYS.get(way, way), args.views, args.held, args.steps, args.seed, model.digest)
            if not (record := journal.at(key)):
                record = {"key": key, **measurer.measured(truth, way)}
                journal.add([record])
                print(json.dumps(record), file=sys.stderr, flush=True)
            found.append({**record, "way": way})
    print(table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="retouch bench scenes", description="How right edits in space are.")
    parser.add_argument("-o", "--out", type=Path, default=Path("out/scenes"), help="folder of all that is made")
    parser.add_argument(
        "--edits",
        nargs="+",
        metavar="NAME",
        help="such as beach-dog or orchard-color; without, all of the world but the figure's",
    )
    parser.add_argument(
        "--world",
        choices=("popup", "solids"),
        default="popup",
        help="whose edits: 24 of what is seen from one side, or 8 of what is seen from all around (default: popup)",
    )
    parser.add_argument(
        "--ways", nargs="+", metavar="WAY", help='such as "walk"; the bounds and the recommended one without'
    )
    parser.add_argument("--views", type=count, default=20, help="posed pictures of each scene (default: 20)")
    parser.add_argument("--held", type=count, default=8, help="views to measure in (default: 8)")
    parser.add_argument("--steps", type=count, default=20, help="of every walk (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--model",
        choices=("storybook", "storybook128"),
        default="storybook",
        help="what edits; views have the size that it was trained for (default: storybook)",
    )
    return parser
