"""Section `edits`: whole edits through the real path, from picture files to picture files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from retouch.api.checking import Environment, Graph, Picture, Registry, check, load_registry
from retouch.api.running import KeptMachines, RunResult, Settings, execute
from retouch_bench.speed.budget import Budget
from retouch_bench.speed.ceilings import GIGA
from retouch_bench.speed.folder import draw_pictures, write_model
from retouch_bench.speed.mix import CAPTION, FILES, THOUSAND, Job, jobs, mixed
from retouch_bench.speed.report import release
from retouch_bench.speed.setting import Setting, name_of
from retouch_bench.speed.timing import clocked

STEPS, TOY_STEPS = 50, 4
PROBE, FURTHER = 2, 4  # steps of the runs that warm up, and how many more those have that foretell the time
PACKED, TOY_PACKED = 16, 2
GRADIENT = 2  # evaluations that a row with a gradient counts as: forward, and back to its input


class UnfitEdit(Exception):
    """A picture without a result; a figure over the others would say nothing."""


@dataclass(frozen=True)
class Studio:
    """A model folder, pictures, and the loaded model, which stays from run to run."""

    setting: Setting
    pictures: Sequence[Path]
    installed: Registry
    machines: KeptMachines = field(default_factory=KeptMachines)

    @staticmethod
    def open(setting: Setting, pictures: int) -> Studio:
        """Write the model and the pictures."""
        write_model(setting.shape, setting.scratch / "model", setting.device, setting.dtype)
        drawn = draw_pictures(setting.scratch / "pictures", setting.shape.side, pictures)
        return Studio(setting, drawn, load_registry())

    def run(self, job: Job, steps: int) -> tuple[RunResult, float]:
        """Edit pictures with the job's recipes, all together.  Returns the result and its wall seconds."""
        graphs, found = self._graphs(job.recipes, steps), list[RunResult]()
        settings = Settings(str(self.setting.device), name_of(self.setting.dtype), job.exact)

        def edit() -> None:
            found.append(execute(graphs, registry=self.installed, settings=settings, machine=self.machines, keep=False))

        seconds = clocked(edit, self.setting.device)
        if failures := [each for outcome in found[0].outcomes for each in outcome.failures]:
            raise UnfitEdit(f"{len(failures)} of {len(graphs)} failed; {failures[0].code}: {failures[0].message}")
        return found[0], seconds

    def _graphs(self, recipes: Sequence[str], steps: int) -> list[Graph]:
        """A graph for each picture, in the order of the recipes."""
        graphs: dict[int, Graph] = {}
        for number, recipe in enumerate(dict.fromkeys(recipes)):
            places = [i for i, each in enumerate(recipes) if each == recipe]
            out = self.setting.scratch / "results" / str(number)
            out.mkdir(parents=True, exist_ok=True)
            items = tuple(Picture(self.pictures[i], n, CAPTION) for n, i in enumerate(places))
            model, told = str(self.setting.scratch / "model"), {"steps": str(steps)} if steps else {}
            environment = Environment(self.installed, out, items, told, model, out, allowed=(out,), force=True)
            checked = check(recipe, environment)
            if checked.errors:
                raise UnfitEdit(f"{checked.errors[0].code}: {checked.errors[0].message}")
            graphs.update(zip(places, checked.graphs, strict=True))
        return [graphs[i] for i in sorted(graphs)]


def edits(setting: Setting, budget: Budget) -> None:
    """Every job, in as many steps, and of the mixed ones as many edits, as its part of the time allows."""
    report, steps = setting.report, TOY_STEPS if setting.toy else STEPS
    opened: list[Studio] = []

    def open_() -> Mapping[str, Any]:
        budget.need(10 if setting.device.type == "cuda" else 1)
        pictures = 20 if setting.toy else _pictures(budget.left)
        seconds = clocked(lambda: opened.append(Studio.open(setting, pictures)), setting.device)
        return {
            "seconds": seconds,
            "note": "random weights; the last layer's are a tenth, so that 50 steps stay finite",
        }

    if not report.attempt("edits", {"edit": "a model folder and pictures are written"}, open_):
        return
    packed = TOY_PACKED if setting.toy else PACKED
    report.attempt("edits", {"edit": "files and VAE alone"}, lambda: _files_alone(opened[0], packed))
    left = list(jobs(packed))
    while left:
        allowed = budget.left * left[0].weight / sum(job.weight for job in left)
        job = left.pop(0)

        def measure(job: Job = job, allowed: float = allowed) -> Mapping[str, Any]:
            budget.need(3 if setting.device.type == "cuda" else 0.5)
            return _measured(opened[0], job, steps, Budget(allowed))

        report.attempt("edits", {"edit": job.name}, measure)
        release()


def _pictures(seconds: float) -> int:
    """How many mixed edits fit at most: they get a quarter of the time, and take a fifth of a second at the floor."""
    return min(THOUSAND, max(20, 20 * math.ceil(seconds / 20)))


def _measured(studio: Studio, job: Job, steps: int, budget: Budget) -> Mapping[str, Any]:
    """Warm up, foretell, run as much as there is time for."""
    probe = min(PROBE, steps)
    further = max(1, min(FURTHER, steps - probe))
    _, first = studio.run(job, probe)  # loads, captures, compiles
    short, longer = (studio.run(job, some)[1] for some in (probe, probe + further))
    a_step = max((longer - short) / further, 1e-4)  # what does not grow with the steps is in neither
    besides = max(short - a_step * probe, 0.0)
    chosen = max(probe, min(steps, int((budget.left - besides) / a_step)))
    if job.whole:
        fit = int(budget.left / (besides + a_step * chosen))
        job = replace(job, recipes=mixed(max(1, min(job.whole // 20, len(studio.pictures) // 20, fit))))
    device = studio.setting.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    result, seconds = studio.run(job, chosen)
    row = _row(studio.setting, job, result, seconds)
    row |= {"steps": chosen, "warm-up, s": first}
    if device.type == "cuda":
        row["peak_gb"] = torch.cuda.max_memory_allocated(device) / GIGA
    notes: list[str] = []
    if chosen < steps:
        walked = max(seconds - besides, 0.0) * steps / chosen
        row["pictures_a_second"] = len(job.recipes) / (besides + walked)
        notes.append(f"{chosen} of {steps} steps for want of time, pictures/s scaled to {steps}")
    if job.whole and len(job.recipes) < job.whole:
        notes.append(
            f"{len(job.recipes):,} of {job.whole:,} edits; all would take {job.whole / row['pictures_a_second']:,.0f} s"
        )
    return row | ({"note": "; ".join(notes)} if notes else {})


def _files_alone(studio: Studio, packed: int) -> Mapping[str, Any]:
    """Read, encode, decode and write, with no denoiser between."""
    job = Job("", (FILES,) * packed, 0)
    studio.run(job, 0)
    result, seconds = studio.run(job, 0)
    return _row(studio.setting, job, result, seconds)


def _row(setting: Setting, job: Job, result: RunResult, seconds: float) -> dict[str, Any]:
    """What a run came to.  The floor is the denoiser's alone, at its rate in full calls."""
    calls = [call for call in result.calls if call.kind in ("denoise", "gradient")]
    rows = sum(call.rows for call in calls)
    gradient = sum(call.rows for call in calls if call.kind == "gradient")
    evaluations = rows + (GRADIENT - 1) * gradient
    a_row = setting.floor("denoiser", 32)
    return {
        "pictures": len(job.recipes),
        "seconds": seconds,
        "pictures_a_second": len(job.recipes) / seconds,
        "rows": rows,
        "gradient_rows": gradient,
        "calls": len(calls),
        "fill": rows / sum(call.bucket for call in calls) if calls else None,
        "rows_a_second": rows / seconds,
        "of_floor": setting.of_floor(None if a_row is None or not rows else evaluations * a_row / 32, seconds),
    }
