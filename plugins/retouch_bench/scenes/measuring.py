"""One edit of one scene by one way: run, and held beside the truth."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retouch.api import NoiseSource
from retouch.api.checking import Environment, Registry, check
from retouch.api.commands import WrongCommand
from retouch.api.running import Executor, KeptMachines, Settings, Task, execute
from retouch_bench.scenes.truth import SolidTruth, SpaceTruth, TrueTurn
from retouch_bench.scenes.ways import WAYS, written
from retouch_scenes.field import Field
from retouch_scenes.rendering import image_of
from retouch_scenes.revising import revise
from retouch_scenes.views import Views
from retouch_storybook.judge import ATTRIBUTES, Judge, load_judge

Record = dict[str, Any]
Truth = SpaceTruth | SolidTruth
ROBUST = 0.1  # of the mean absolute difference, which a refit minimises


@dataclass
class SceneMeasurer:
    """Measures ways on edits; fields of scenes and models stay, so that a scene is fitted once."""

    registry: Registry
    folder: Path
    steps: int = 20
    seed: int = 0
    model: str = "storybook"
    machines: KeptMachines = field(default_factory=KeptMachines)
    _sources: dict[str, Field] = field(default_factory=dict[str, Field])

    @cached_property
    def judge(self) -> Judge:
        return load_judge()

    def measured(self, truth: Truth, way: str) -> Record:
        """What a way comes to on an edit."""
        began, cpu = time.monotonic(), time.process_time()
        made, rows, left = self._made(truth, way)
        seconds, spent = time.monotonic() - began, time.process_time() - cpu
        shown = torch.stack([image_of(made, truth.held_truth, i).data for i in range(truth.held)])
        true = torch.stack([image.data for image in truth.held_truth.images])
        inside = torch.stack(truth.regions)
        agree = None if left is None else -20 * math.log10(max(left / ROBUST, 1e-9))
        figures = {"in": decibels(shown, true, inside), "out": decibels(shown, true, ~inside), "agree": agree}
        readings, asked = self.judge(shown.clamp(0, 1)), truth.edit.asked
        told = [name for name in ATTRIBUTES if hasattr(truth.edit.after, name)]  # a figure stands nowhere
        rest = {name: getattr(truth.edit.after, name) for name in told if name not in asked}
        done = [all(getattr(each, name) == value for name, value in asked.items()) for each in readings]
        kept = [all(getattr(each, name) == value for name, value in rest.items()) for each in readings]
        record = {
            "edit": truth.edit.name,
            "kind": truth.edit.kind,
            "way": way,
            **figures,
            "read": sum(done) / len(done),
            "kept": sum(kept) / len(kept),
        }
        return {**record, "rows": rows, "s": round(seconds, 1), "cpu_s": round(spent, 1)}

    def _made(self, truth: Truth, way: str) -> tuple[Field, int, float | None]:
        """The field, its rows, and what the last refit could not explain."""
        if way in WAYS:
            return self._run(truth, way)
        name = truth.edit.name.partition("-")[0]
        if name not in self._sources:
            self._sources[name], _, _ = self._run(truth, way)
        source = self._sources[name]
        return (self.ceiling(truth, source) if way == "ceiling" else source), 0, None

    def ceiling(self, truth: Truth, source: Field) -> Field:
        """The field revised with the true pictures as edited views: all that is left is masks, poses and refitting."""
        before, after = truth.seen("before", "training"), truth.seen("after", "training")
        return revised(source, before, TrueTurn(before, after), self.seed)

    def _run(self, truth: Truth, way: str) -> tuple[Field, int, float | None]:
        folder = truth.written(self.folder / "views" / truth.edit.name.partition("-")[0])
        edit, lost = truth.edit, dict[str, float]()
        text = written(way, edit.operand, edit.before.caption(), str(folder.resolve()), truth.bounds, self.model)
        settings = {"seed": str(self.seed), **({"steps": str(self.steps)} if way in WAYS else {})}
        out = (self.folder / "fields" / f"{edit.name} {way}".replace(",", "").replace(" ", "_")).resolve()
        out.mkdir(parents=True, exist_ok=True)
        world = Environment(
            self.registry, out, (), settings, output=out, force=True, allowed=(self.folder.resolve(), out)
        )
        checked = check(text, world)
        if checked.errors:
            raise WrongCommand(f"{way}: {checked.errors[0].message}")

        def tell(event: str, facts: Any) -> None:
            if event == "learning" and facts["done"] == facts["of"]:
                lost[facts["stage"]] = facts["loss"]

        result = execute(checked.graphs, registry=self.registry, settings=Settings(), machine=self.machines, tell=tell)
        (outcome,) = result.outcomes
        if outcome.failed:
            raise WrongCommand(f"{way}: {outcome.failures}")
        fields = [value for value in outcome.values.values() if isinstance(value, Field)]
        return fields[-1], sum(outcome.rows.values()), lost.get("revise dataset")


class _Silent:
    """A log that nobody reads."""

    def due(self, done: int, of: int) -> bool:
        """Nobody asks."""
        return False

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Forget it."""


def revised(source: Field, views: Views, turn: TrueTurn, seed: int = 0, **options: Any) -> Field:
    """A field revised by a turn that is no recipe."""
    log: Any = _Silent()
    task = Task(lambda: revise(source, views, turn, NoiseSource(seed, "revise"), log, **options))
    Executor().run([task])
    if task.error:
        raise task.error
    return task.result


def decibels(shown: Tensor, true: Tensor, area: Tensor) -> float | None:
    """PSNR of pictures [N, 3, H, W] within areas [N, H, W]; None where these are empty."""
    gap = (shown - true).square().mean(1)[area]
    return None if not gap.numel() else round(-10 * math.log10(max(float(gap.mean()), 1e-10)), 2)
