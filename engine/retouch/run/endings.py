"""What the end of a task means for its pictures: values, files, failures, and the words for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from retouch.core.errors import Unmet
from retouch.core.values import Mask
from retouch.core.walk import Trajectory
from retouch.graph.lineage import feeding
from retouch.graph.ports import WRITERS
from retouch.lang.diagnostics import Diagnostic
from retouch.run.coverage import covers_too_much_or_little
from retouch.run.failure import Blame, diagnose, of_size
from retouch.run.picture_tasks import StageAtWork, StageTasks
from retouch.run.strangers.wrong_results import WrongResult
from retouch.run.task import Skipped, Task
from retouch.run.turns import blamed
from retouch.run.whole import WholeRun


@dataclass(slots=True)
class Endings:
    """Hears of each task that ends, and keeps the outcomes of pictures.

    causes: what is told of an exception, by its identity: many tasks may have ended for one.
    divisible: whether several pictures are under way, of which fewer may fit into memory.
    """

    run: WholeRun
    tasks: StageTasks
    blame: Blame
    causes: dict[int, Diagnostic] = field(default_factory=dict[int, Diagnostic])
    divisible: bool = False

    def ended(self, task: Task) -> None:
        """Say what a stage has come to."""
        if task not in self.tasks.stages:  # what the engine gives, and who takes it says so
            return
        stage = self.tasks.stages[task]
        outcome, node = stage.picture.outcome, stage.node
        outcome.rows[node.id] = task.rows
        saves = node.card.family == "save"
        if task.error is None:
            try:
                value = task.result
                if isinstance(value, Mask) and node.id in stage.picture.deciding:
                    outcome.warnings += covers_too_much_or_little(node, value)
                if self.tasks.keep:
                    for each, id_ in ((outcome, node.id), *self.tasks.shared_by.get(task, ())):
                        each.values[id_] = value
            except Exception as error:  # of a type whose numbers cannot be asked
                task.error = error
        if task.error is None and saves and (path := Path(str(node.options["path"]))) not in outcome.files:
            task.error = WrongResult(f"the file '{path.name}'", "none")
        if task.error is None and task in self.tasks.kept:
            self.tasks.kept[task].ended(task)
        if task.error is not None:
            self._failed(task.error, stage)
            return
        name = outcome.item.name if outcome.item else ""
        self.run.tell("stage", {"item": name, "stage": node.card.name, "rows": task.rows})
        if saves:
            self.run.tell("saved", {"item": name, "path": node.options["path"]})
        if node.card.family == "require" and isinstance(task.result, Trajectory) and task.result.certificate:
            # The last of the certificate is the figure that this requirement held with.
            outcome.notices.append(f"{node.card.name}: {[*task.result.certificate.values()][-1]}")

    def _failed(self, error: BaseException, stage: StageAtWork) -> None:
        outcome, node = stage.picture.outcome, stage.node
        if self.divisible and is_lack_of_memory(error):
            stage.picture.short = True  # it comes again, with fewer beside it
            return
        cause = error.cause if isinstance(error, Skipped) else error
        if id(cause) not in self.causes:
            near = feeding(stage.picture.graph, node)
            found = diagnose(blamed(cause) or node, cause, stage.model, self.blame, near)
            resized = [each for each in near if each.id in outcome.resized]
            if found.code == "RT501" and resized:  # what it is given is of two sizes, which no check has known
                found = of_size(resized[0], outcome.resized[resized[0].id], found, self.blame)
            self.causes[id(cause)] = found
        told = self.causes[id(cause)]
        if told.code == "RT510":  # the empty mask is told by what it leaves without a window
            empty = {each.span for each in feeding(stage.picture.graph, node)}
            outcome.warnings = [each for each in outcome.warnings if each.code != "RT513" or each.span not in empty]
        if node.card.takes(*WRITERS):
            self.run.journal.failed(Path(str(node.options["path"])), outcome.item, told)
        if node.card.output is None and told not in outcome.failures:
            outcome.failures.append(told)
            facts = {"item": outcome.item.name if outcome.item else "", "code": told.code, "message": told.message}
            self.run.tell("failed", facts)  # now, and with its place in the recipe when all has ended
        elif isinstance(error, Unmet):
            outcome.notices.append(f"{(blamed(error) or node).card.name}: {error}")


def is_lack_of_memory(error: BaseException | None) -> bool:
    """Whether a task ended for that, or for what it needs having ended so."""
    cause = error.cause if isinstance(error, Skipped) else error
    return isinstance(cause, torch.OutOfMemoryError | MemoryError)
