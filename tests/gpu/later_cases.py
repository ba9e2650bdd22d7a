"""The stages that came after `cases.py`, likewise: schedules, solvers, losses, flows, windows, draws and sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from retouch.api import Image, Window
from retouch.plugins import registry
from retouch.plugins.discovery import Plugin
from retouch.testing.worlds import World, tiny_world
from retouch_methods.crop.window import crop
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from tests.gpu.cases import Case, attends, edited, guides, half, inverts, made, picture

INSTALLED = registry.load([Plugin("retouch_methods", "retouch_methods")])


def stage(name: str) -> Callable[..., Any]:
    """The function of a stage."""
    family, _, method = name.partition(" ")
    card = INSTALLED.find(family, method)
    assert card, name
    return INSTALLED.function(card)


def on_flow(case: Case) -> Case:
    """The same on a network that predicts a flow's velocity."""

    def moved(world: World, folder: Path) -> Sequence[Tensor]:
        data = world.latents.data
        flow = tiny_world("flow", steps=4, dtype=world.model.core.dtype, device=data.device)
        return case(replace(flow, guidance=cfg(guidance=2.0)), folder)

    return moved


def spaces(name: str, **options: Any) -> Case:
    """The edit on the levels of a schedule."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        return inverts(ddim)(replace(world, schedule=made(world, stage(name), **options)), folder)

    return case


def steps_by(name: str, **options: Any) -> Case:
    """The edit, each step taken by a solver."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        return (edited(world, made(world, ddim), solver=made(world, stage(name), **options)),)

    return case


def pictures_of(name: str, **options: Any) -> Case:
    """The picture that a stage makes of a picture."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        found = made(world, stage(name), **options)
        return (found.data,) if isinstance(found, Image) else [each.image.data for each in found.made]

    return case


def latents_of(name: str, **options: Any) -> Case:
    """The latents that a distillation ends at."""
    return lambda world, folder: (made(world, stage(name), **options).data,)


def masked(name: str, **options: Any) -> Case:
    """The edit under a guidance that has a mask."""
    return lambda world, folder: guides(partial(stage(name)), mask=half(world), **options)(world, folder)


def windowed(then: Callable[[World, Window], Tensor]) -> Case:
    """What becomes of a window round the left half of a picture."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        cut = made(world, crop, image=picture(world, 32, 5), mask=half(world))
        return (then(world, cut),)

    return case


def pasted(world: World, cut: Window) -> Tensor:
    """The window put back, changed."""
    shown = Image(1 - cut.image.data)
    return made(world, stage("paste window"), image=shown, window=cut).data


LATER: dict[str, Case] = {
    **{f"schedule {name}": spaces(f"schedule {name}") for name in ("exponential", "karras", "leading", "linspace")},
    "schedule trailing": spaces("schedule trailing"),
    "schedule ays": spaces("schedule ays"),
    "schedule levels": spaces("schedule levels", at=(900, 600, 300)),
    "schedule shift": on_flow(spaces("schedule shift")),
    **{f"solver {name}": steps_by(f"solver {name}") for name in ("ddim", "ddpm", "dpmpp", "heun")},
    **{f"invert {name}": on_flow(inverts(stage(f"invert {name}"))) for name in ("fireflow", "rf_inversion")},
    **{f"invert {name}": on_flow(inverts(stage(f"invert {name}"))) for name in ("rf_solver", "uniinv", "flowedit")},
    **{f"guide {name}": guides(stage(f"guide {name}")) for name in ("norm", "direction", "image_text", "structure")},
    "guide range": guides(stage("guide range")),
    "guide identity": guides(stage("guide identity"), likeness=0.0),
    "guide keep": masked("guide keep"),
    "attend background": attends(stage("attend background")),
    **{f"upscale {name}": pictures_of(f"upscale {name}") for name in ("bicubic", "lanczos")},
    **{f"distil {name}": latents_of(f"distil {name}", rounds=2) for name in ("dds", "sds", "pds")},
    "draw repeated": pictures_of("draw repeated"),
    "tiles ramps": pictures_of("tiles ramps"),
    "repaint resampling": pictures_of("repaint resampling"),
    "rank change": pictures_of("rank change"),
    "rank denoiser": pictures_of("rank denoiser"),
    "rank image_text": pictures_of("rank image_text"),
    "crop window": windowed(lambda world, cut: cut.image.data),
    "paste window": windowed(pasted),
    "view image": windowed(lambda world, cut: made(world, stage("view image"), window=cut).data),
}
"""Compared by distance."""

ELSEWHERE = {
    "decode tuned": "an optimiser's path: test_gpu_masters compares such in float32",
    "eye": "needs a network's folder: the part 'speed' measures none, tests/models/test_eyes.py reads one",
    "guide appearance": "needs a style's file and eyes; it is a loss, as 'guide structure' is",
    "guide distilled": "one row that no network of this world is told of",
    "guide mix": "needs a file of tuned weights",
    "guide sine": "needs a tuning before it",
    "mask window": "a rectangle of numbers that 'crop window' has",
    "match lowpass": "a picture under a filter, as 'upscale lanczos' is; no network is asked",
    "narrow window": "a rectangle, of what an edit changed",
    "save": "files of what was tuned",
    "surround lowpass": "needs a photograph behind a window of another size",
    "tiles multidiffusion": "the mean of predictions that 'guide cfg' asks for",
    "tune": "test_gpu_masters",
    "upscale esrgan": "needs weights that another package ships",
    "view": "the parts of a window, which 'view image' shows",
}
"""Of a stage, or of all stages of a family that stand nowhere else: why there is no case."""


def has_a_place(name: str, told: frozenset[str]) -> bool:
    """Whether a stage has a case, or a reason for none."""
    return name in told or name in ELSEWHERE or name.partition(" ")[0] in ELSEWHERE
