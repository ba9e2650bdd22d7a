"""`retouch matrix`: which methods go together, found by checking a recipe for each pair."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby

from retouch.check.capabilities import Capability, Limitation, capabilities
from retouch.check.matrix import CAPTION, Verdict, judged, pairs, unpaired
from retouch.check.reading.environment import Environment
from retouch.cli import DONE
from retouch.cli.reporting import check_place, keep, put, warn
from retouch.graph.nodes import Picture
from retouch.paths import folder
from retouch.plugins import registry

WORKS, APART, IDLE = "✓", "✓*", "–"
HEAD = """\
# Which methods go together

Written by `retouch matrix -o recipes/MATRIX.md` from the stages that are installed: for each pair it makes the least
recipe that joins the two and checks it.  A test runs all that pass, all of them at once, and compares each with the
same recipe without either method: ✓ ends well, and both methods change the result.  – ends well, and one of them
changes nothing, as does what a turn has anyway: `solver ddim`, and on this model `schedule leading`.  ✓* clashes as it
is, and works with the option below the table, or wherever ranges of steps or sites are kept apart.  Of two methods of
one family the row comes first in the recipe.
"""

FAMILIES_HEAD = """\
What is known of published models from their configs alone: sites of attention by kind, numbers that they are told,
options that suit them, and stages that `check` refuses there, with the reasons below.  All others fit."""


def main(args: Namespace) -> int:
    """Print the matrix, or write it to a file."""
    if args.file:
        check_place(args.file)
    installed = registry.load()
    verdicts = all_pairs(Environment(installed, folder("recipes")))
    if args.json:
        data = [_data(verdict) for verdict in verdicts]
        keep(args.file, json.dumps(data, ensure_ascii=False) + "\n") if args.file else put(data)
        return DONE
    warn(installed.faults)
    text = page(verdicts)
    if args.file:
        keep(args.file, text)
    else:
        print(text, end="")
    return DONE


def all_pairs(world: Environment) -> list[Verdict]:
    """Return a verdict on every pair, for the picture that ships with the recipes."""
    picture = Picture(world.folder / "pictures" / "cat_meadow.png", 0, CAPTION)
    find_model, inspect = cache(world.find_model), cache(world.inspect)  # all pairs are of one model and one picture
    world = replace(world, pictures=(picture,), find_model=find_model, inspect=inspect)
    return [judged(stages, world) for stages in pairs(world.registry)]


def page(verdicts: Sequence[Verdict]) -> str:
    """The matrix as a page: a table for each two families, and why what is refused is refused."""
    works = sum(verdict.works for verdict in verdicts)
    parts = [HEAD, f"{works} of {len(verdicts)} pairs work.\n"]
    families = groupby(verdicts, lambda verdict: tuple(card.family for card in verdict.stages))
    for (one, other), group in families:
        parts.append(f"## {one} × {other}\n")
        parts.append("\n".join(_table(list(group))) + "\n")
    left_out = (f"- `{family}` {why}" for family, why in unpaired(registry.load()).items())
    parts.append("\n".join(["## In no pair", "", *left_out]) + "\n")
    parts.append("\n".join(_families(capabilities(registry.load()))) + "\n")
    return "\n".join(parts)


def _families(found: Iterable[Capability]) -> Iterator[str]:
    """A row for each published model: where controls act, what it is given by default, and what it refuses."""
    yield from ("## Models", "", FAMILIES_HEAD, "")
    yield "| model | predicts | self | cross | resnet | told | by default | refused |"
    yield "|---|---|---|---|---|---|---|---|"
    reasons: dict[Limitation, dict[str, None]] = {}
    notes: list[str] = []
    for each in found:
        known, counts = each.known, " | ".join(str(count or "") for count in each.sites.values())
        default = ", ".join(f"`{name}={value:g}`" for name, value in known.defaults.items())
        refused = ", ".join(f"`{stage}`" for stage in each.refused)
        for stage, refusal in each.refused.items():
            reasons.setdefault(refusal, {})[stage] = None
        told = ", ".join(known.told)
        yield f"| {each.model} | {known.prediction} | {counts} | {told} | {default} | {refused} |"
        notes += [f"{each.model}: {known.noted}"] if known.noted else []
    yield ""
    for refusal, stages in sorted(reasons.items(), key=lambda found: found[0].code):
        yield f"- **{refusal.code}** {', '.join(f'`{stage}`' for stage in stages)}: {refusal.why}"
    yield from (f"- {note}" for note in notes)


def _table(verdicts: Sequence[Verdict]) -> Iterator[str]:
    rows = list(dict.fromkeys(verdict.stages[0].method for verdict in verdicts))
    columns = sorted({verdict.stages[1].method for verdict in verdicts})
    cells = {(v.stages[0].method, v.stages[1].method): _cell(v) for v in verdicts}
    yield f"| | {' | '.join(f'`{column}`' for column in columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for row in rows:
        yield f"| `{row}` | {' | '.join(cells.get((row, column), '') for column in columns)} |"
    refused = sorted({(verdict.code, verdict.reason) for verdict in verdicts if verdict.code})
    if refused:
        yield ""
    for code, reason in refused:
        yield f"- **{code}** {reason}"
    if idle := [verdict for verdict in verdicts if verdict.idle]:
        yield ""
        beside: dict[str, list[str]] = {}
        for one in idle:
            beside.setdefault(one.idle, []).extend(f"`{c.name}`" for c in one.stages if c.name != one.idle)
        yield from (
            f"- {IDLE} `{method}` changes nothing beside {', '.join(others)}" for method, others in beside.items()
        )
    if apart := [verdict for verdict in verdicts if verdict.only_with]:
        yield ""
        yield from (f"- {APART} {verdict.name}: with `{verdict.only_with}`" for verdict in apart)


def _cell(verdict: Verdict) -> str:
    return verdict.code or (IDLE if verdict.idle else APART if verdict.only_with else WORKS)


def _data(verdict: Verdict) -> dict[str, object]:
    return {
        "stages": [card.name for card in verdict.stages],
        "works": verdict.works,
        "idle": verdict.idle or None,
        "code": verdict.code or None,
        "reason": verdict.reason or None,
        "only_with": verdict.only_with or None,
        "recipe": verdict.recipe,
    }
