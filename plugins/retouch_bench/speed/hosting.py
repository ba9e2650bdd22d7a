"""Section `host`: what the engine itself costs, and whether it ever waits for the device inside a tick."""

from __future__ import annotations

import time
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from retouch.api import Canvas, Denoiser, Edit, Latents, NegativePrompt, Prediction, Prompt, Site, SourcePrompt
from retouch.api.kit import Acceleration, NetworkCore, UNet
from retouch.api.models import Core, Group, Reply
from retouch.api.running import Executor, Task
from retouch_bench.speed.budget import Budget
from retouch_bench.speed.denoising import MODES, schedule
from retouch_bench.speed.setting import Setting
from retouch_bench.speed.timing import synchronize
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample

TASKS, STEPS = 32, 20
_SYNCHRONIZED = "synchronizing CUDA operation"


class GivenPrediction:
    """A core that answers with predictions made beforehand, so that all time is the engine's."""

    def __init__(self, like: Tensor) -> None:
        pair = torch.stack((like, torch.zeros_like(like)))
        self.answer = Reply((Prediction(pair),))
        self.sites: tuple[Site, ...] = ()
        self.base: Mapping[str, Tensor] = {}

    def kernels(self, group: Group) -> Hashable:
        """There are none."""
        return None

    def forward(self, groups: Sequence[Group], bucket: int) -> list[Reply]:
        """The same for everyone; groups are of one row here."""
        return [self.answer for _ in groups]


class Walks:
    """DDIM edits under guidance, one a task, on random latents and prompts."""

    def __init__(self, setting: Setting, core: Core, tasks: int, steps: int) -> None:
        shape, self.model = setting.shape, Denoiser(core)
        self.schedule, self.guidance, self.tasks = schedule(steps), cfg(), tasks
        device, dtype = setting.device, setting.dtype
        source, target, negative = torch.randn(3, *shape.prompt, device=device, dtype=dtype)
        self.source, self.negative = SourcePrompt("", source), NegativePrompt("", negative)
        self.edit = Edit(self.source, Prompt("", target), self.negative)
        canvas = Canvas(shape.side, shape.side, shape.scale)
        latents = torch.randn(tasks, *shape.latent, device=device, dtype=dtype)
        self.latents = [Latents(each, canvas) for each in latents]

    async def walk(self, latents: Latents) -> Latents:
        """Up without guidance, down with it."""
        pivot = await ddim(latents, self.source, self.negative, self.model, self.schedule)
        return await sample(pivot, latents, self.edit, self.model, self.guidance)

    def run(self) -> tuple[int, int]:
        """All walks together.  Returns rows and ticks."""
        tasks = [Task(lambda each=each: self.walk(each)) for each in self.latents]
        executor = Executor()
        executor.run(tasks)
        if errors := [task.error for task in tasks if task.error]:
            raise errors[0]
        return sum(task.rows for task in tasks), 2 * len(self.schedule)


def host(setting: Setting, budget: Budget) -> None:
    """The executor's own microseconds, and synchronisations in the ticks of an edit."""
    report, steps = setting.report, 3 if setting.toy else STEPS
    what = {"what": f"executor alone, {TASKS} DDIM edits of {steps} steps under guidance"}
    report.attempt("host", what, lambda: _own_time(setting, budget, steps))
    what = {"what": "synchronisations in the ticks of DDIM edits, graphs + fused norms"}
    report.attempt("host", what, lambda: _synchronisations(setting, budget))
    what = {"what": "synchronisations in the ticks of DDIM edits, eager"}
    report.attempt("host", what, lambda: _synchronisations(setting, budget, Acceleration()))


def _own_time(setting: Setting, budget: Budget, steps: int) -> Mapping[str, Any]:
    budget.need(2)
    like = torch.randn(setting.shape.latent, device=setting.device, dtype=setting.dtype)
    walks = Walks(setting, GivenPrediction(like), TASKS, steps)
    walks.run()
    synchronize(setting.device)
    began = time.perf_counter()
    rows, ticks = walks.run()
    issued = time.perf_counter() - began
    synchronize(setting.device)
    return {"rows": rows, "ticks": ticks, "us_a_row": issued / rows * 1e6, "us_a_tick": issued / ticks * 1e6}


def _synchronisations(
    setting: Setting, budget: Budget, acceleration: Acceleration = MODES["graphs + fused norms"]
) -> Mapping[str, Any]:
    if setting.device.type != "cuda":
        return {"synchronisations": "n/a on this device"}
    budget.need(4)
    unet = setting.shape.denoiser(setting.device, setting.dtype)
    walks = Walks(setting, NetworkCore(UNet(unet), "epsilon", setting.shape.sites, acceleration=acceleration), 4, 3)
    walks.run()
    with _noticed() as seen:
        rows, ticks = walks.run()
    first = {"first": seen[0]} if seen else {}
    return {"rows": rows, "ticks": ticks, "synchronisations": len(seen), **first}


@contextmanager
def _noticed() -> Iterator[list[str]]:
    """The places of the code that made the host wait for the device."""
    seen: list[str] = []
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen
        finally:
            torch.cuda.set_sync_debug_mode("default")
            told = [each for each in caught if _SYNCHRONIZED in str(each.message)]
            seen += ["/".join(each.filename.split("/")[-2:]) + f":{each.lineno}" for each in told]
