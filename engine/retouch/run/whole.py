"""What a run is as a whole, and what it comes to when all its pictures are through, whoever worked on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retouch.graph.done import work_of
from retouch.graph.nodes import Graph
from retouch.lang.diagnostics import Report
from retouch.pictures import Unwritable
from retouch.pictures.stamp import WORK
from retouch.pictures.standing import digest
from retouch.run.executor import BatchInfo
from retouch.run.files.provenance import Provenance, Request, software
from retouch.run.files.run_journal import RunJournal
from retouch.run.files.shared import SharedFiles
from retouch.run.files.signers import Claim, Unfit
from retouch.run.outcome import Outcome, RunResult
from retouch.run.settings import Settings

Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True)
class RunPart:
    """What some pictures of a run came to.

    missed: for each outcome, by part and in words, what its source said and no result of it keeps.
    """

    outcomes: list[Outcome]
    calls: list[BatchInfo]
    missed: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class WholeRun:
    """The pictures of a run, what was asked for, and who hears of it.

    built_in: plugins whose stages' versions tell what they do.
    shared: the files that many results share.
    journal: hears of each result and failure as it comes.
    """

    graphs: Sequence[Graph]
    request: Request
    settings: Settings
    built_in: Collection[str]
    tell: Tell
    shared: SharedFiles
    journal: RunJournal

    def completed(self, parts: Sequence[RunPart]) -> RunResult:
        """Put the parts together, in their order, and write what all of them share."""
        outcomes = [outcome for part in parts for outcome in part.outcomes]
        missed = [each for part in parts for each in part.missed]
        self._write_shared(outcomes)
        _tell_missed([pair for pair in zip(outcomes, missed, strict=False) if pair[1]])
        return RunResult(outcomes, [call for part in parts for call in part.calls])

    def _write_shared(self, outcomes: list[Outcome]) -> None:
        """Contact sheets and tables, with the results that came."""
        made = {path: file for path, file in self.shared.made.items() if not file.empty}
        if not made:
            return
        said = {**software(), **self.settings.told, "recipe": self.request.recipe}
        for path, file in made.items():
            # What has not come into the file will be made when it is asked for again, so it counts as empty.
            work = work_of(
                [
                    (
                        place.axes,
                        self._told(place.graph).work(place.node) if place.node and file.has(place.axes) else "",
                    )
                    for place in self.shared.places[path]
                ]
            )
            outcome = outcomes[-1] if len(outcomes) == 1 else Outcome(None)
            try:
                told = self.request.told({**said, WORK: work})
                outcome.notices += file.write(Path(path), told, self._signed(path, told))
                outcome.files.append(Path(path))
                self.journal.saved(Path(path), work, digest(Path(path)))
                self.tell("saved", {"item": "", "path": path})
            except (Unwritable, Unfit, OSError) as why:
                report = Report()
                span = next(self.graphs[at.graph].node(at.node).span for at in self.shared.places[path] if at.node)
                if isinstance(why, Unfit):
                    report.add("RT460", span, path=path, what=why.what, mend=why.mend)
                else:
                    refused = why if isinstance(why, Unwritable) else Unwritable.of(path, why)
                    report.add("RT507", span, path=path, what=refused.what, mend=refused.mend)
                outcome.failures += report.items
                self.journal.failed(Path(path), outcome.item, report.items[0])
            if not any(outcome is each for each in outcomes):
                outcomes.append(outcome)

    def _signed(self, path: str, told: Mapping[str, str]) -> Callable[[bytes], bytes] | None:
        """What signs a shared file, where one is to be."""
        request, title = self.request, Path(path).name if self.request.stamp == "full" else ""
        claim = Claim(title, told, composite=True)
        return (lambda data: request.signed(data, Path(path).suffix, claim)) if request.signing else None

    def _told(self, at: int) -> Provenance:
        return Provenance(self.graphs[at], self.request, self.settings.told, self.built_in)


def _tell_missed(losing: Sequence[tuple[Outcome, Mapping[str, str]]]) -> None:
    """Say once what sources told of themselves and their results do not."""
    if not losing:
        return
    first, others = losing[0][0], len(losing) - 1
    told = {part: words for _, missed in reversed(losing) for part, words in missed.items()}
    what, parts = ", ".join(told.values()), ", ".join(f'"{part}"' for part in told)
    name = f"{first.item.name if first.item else 'the source'}{f' and {others} more' if others else ''}"
    first.notices.append(f"{name}: not kept: {what}; save … keep=[{parts}] keeps it, keep=[] says nothing of it")
