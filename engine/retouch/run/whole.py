"""What a run comes to when all its pictures are through, whoever worked on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retouch.lang.diagnostics import Report
from retouch.lang.syntax import NOWHERE
from retouch.pictures import Unwritable
from retouch.run.executor import BatchInfo
from retouch.run.files.provenance import Request, software
from retouch.run.files.shared import SharedFiles
from retouch.run.outcome import Outcome, Result
from retouch.run.settings import Settings

Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True)
class Part:
    """What some pictures of a run came to.

    missed: for each outcome, by part and in words, what its source said and no result of it keeps.
    shared: the files that many results share, with what these pictures put into them.
    """

    outcomes: list[Outcome]
    calls: list[BatchInfo]
    missed: list[dict[str, str]]
    shared: SharedFiles


def completed(parts: Sequence[Part], shared: SharedFiles, request: Request, settings: Settings, tell: Tell) -> Result:
    """Put parts together, in their order, and write what all of them share.  shared: with what all put into it."""
    outcomes = [outcome for part in parts for outcome in part.outcomes]
    missed = [each for part in parts for each in part.missed]
    _tell_missed([pair for pair in zip(outcomes, missed, strict=True) if pair[1]])
    _write_shared(shared, outcomes, request, settings, tell)
    return Result(outcomes, [call for part in parts for call in part.calls])


def _tell_missed(losing: Sequence[tuple[Outcome, Mapping[str, str]]]) -> None:
    """Say once what sources told of themselves and their results do not."""
    if not losing:
        return
    first, others = losing[0][0], len(losing) - 1
    told = {part: words for _, missed in reversed(losing) for part, words in missed.items()}
    what, parts = ", ".join(told.values()), ", ".join(f'"{part}"' for part in told)
    name = f"{first.item.name if first.item else 'the source'}{f' and {others} more' if others else ''}"
    first.notices.append(f"{name}: not kept: {what}; save … keep=[{parts}] keeps it, keep=[] says nothing of it")


def _write_shared(
    shared: SharedFiles, outcomes: list[Outcome], request: Request, settings: Settings, tell: Tell
) -> None:
    """Contact sheets and tables, with the results that came."""
    made = {path: file for path, file in shared.made.items() if not file.empty}
    if not made:
        return
    metadata = request.told({**software(), **settings.told, "recipe": request.recipe})
    outcome = outcomes[-1] if len(outcomes) == 1 else Outcome(None)
    for path, file in made.items():
        try:
            outcome.notices += file.write(Path(path), metadata)
            outcome.files.append(Path(path))
            tell("saved", {"item": "", "path": path})
        except (Unwritable, OSError) as why:
            report = Report()
            report.add("RT507", NOWHERE, path=path, what=getattr(why, "strerror", None) or str(why))
            outcome.failures += report.items
    if not any(outcome is each for each in outcomes):
        outcomes.append(outcome)
