"""The stages that the recipes of these tests name, as a plugin that is only text."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from retouch.check.reading.environment import Environment
from retouch.core.declared.touches import Site
from retouch.plugins import registry
from retouch.plugins.discovery import Plugin
from tests.graph.fake_model import among
from tests.pictures.picture_makers import touched

PICTURES = (
    *("c.png", "cat.png", "dog.png", "m.png", "mask.png", "a_mask.png", "x.png"),
    *("images/boat.png", "images/cat.png", "photos/one.png", "photos/two.png"),
)
LIBRARIES = {
    "swaps": "def swap(a, b) = invert edict | attend p2p a->b | mask diffedit | blend latent\n",
    "more": "def swap(a, b) = invert null_text | attend p2p a->b\n",
    "round": 'use "round.retouch"\ndef f() = invert ddim\n',
    "sets": "defaults steps=5\ndef f() = invert ddim\n",
}


STAGES = """
from typing import Annotated, Literal

from retouch.api import (
    Adapters, AttentionControl, Blend, Codec, Denoiser, Edit, Ending, Guidance, Image, Latents, Mask, Moot, Need,
    NegativePrompt, NoiseSource, Outbox, Pattern, Pictures, Range, Rule, Schedule, Sheet, SourcePrompt, TargetPrompt,
    Touch, Trajectory, Turn, WordsOf, stage,
)

Fraction = Annotated[float, Range(0, 1)]
Count = Annotated[int, Range(1, 1000)]


@stage("open", "image", default=True)
def open_image(pictures: Pictures, *, path: str = "", caption: str = "", size: Annotated[int, Range(0, 8192)] = 0
               ) -> Image: ...

@stage("twice", "through", rows="turn * times")
async def twice(image: Image, turn: Turn, mask: Mask | None = None, *, times: Count = 2) -> Image: ...

@stage("encode", "vae", default=True)
async def encode(image: Image, codec: Codec) -> Latents: ...

@stage("decode", "vae", default=True)
async def decode(latents: Latents, codec: Codec) -> Image: ...

@stage("save", "image", default=True)
def save_image(image: Image, outbox: Outbox, *, path: Annotated[str, Ending("picture")] = "",
               quality: Annotated[int, Range(1, 100), Ending("picture:quality")] | None = None) -> None: ...

@stage("save", "mask")
def save_mask(mask: Mask, outbox: Outbox, *, path: Annotated[str, Ending("picture")] = "") -> None: ...

@stage("sheet", "contact", default=True)
def contact(image: Image, sheet: Sheet, *, path: Annotated[str, Ending("picture")] = "",
            columns: Annotated[int, Range(0, 100)] = 0) -> None: ...

@stage("measure", "psnr")
def measure(image: Image, against: Image) -> None: ...

@stage("require", "psnr")
async def require(trajectory: Trajectory, codec: Codec, *, min: float = 0.0) -> Trajectory: ...

@stage("invert", "ddim", facts={"steps": "int(steps * strength + 1e-9)", "replays": "'any'"})
async def ddim(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule, *,
               convention: Literal["target", "source"] = "target", strength: Fraction = 1.0) -> Trajectory: ...

@stage("invert", "null_text", default=True, words="needed", instead="invert ddim")
async def null_text(latents: Latents, prompt: SourcePrompt, negative: NegativePrompt, model: Denoiser,
                    schedule: Schedule, guidance: Guidance, *, inner: Annotated[int, Range(1, 100)] = 10
                    ) -> Trajectory: ...

@stage("invert", "edict")
async def edict(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule, guidance: Guidance, *,
                mixing: Fraction = 0.93) -> Trajectory: ...

@stage("invert", "edit_friendly")
async def edit_friendly(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule,
                        noise: NoiseSource, *, skip: Fraction = 0.36) -> Trajectory: ...

@stage("attend", "p2p", touches=(Touch("self", "replace", "qk", until="self_replace"),))
def p2p(edit: Edit, *, cross_replace: Fraction = 0.8, self_replace: Fraction = 0.4) -> AttentionControl: ...

@stage("attend", "masactrl", touches=(Touch("self", "replace", "kv", start="start"),))
def masactrl(edit: Edit, *, start: Annotated[float, Range(0, 50)] = 0.1) -> AttentionControl: ...

@stage("invert", "fixed_point", facts={"evaluations": 1})
async def fixed_point(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule) -> Trajectory: ...

@stage("invert", "rf_solver", predicts=("flow",), instead="invert fixed_point")
async def rf_solver(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule) -> Trajectory: ...

@stage("guide", "distilled", facts={"guide": 1}, told=("guidance",), instead="guide cfg")
def distilled(*, guidance: Annotated[float, Range(0, 100)] = 3.5) -> Guidance: ...

@stage("guide", "cfg", default=True)
def cfg(*, guidance: Annotated[float, Range(0, 100)] = 7.5) -> Guidance: ...

@stage("guide", "semantic", reads=(Touch("cross", "read", "maps", scale=("scale", "scale")),))
def semantic(*, scale: Annotated[int, Range(1, 64)] = 2) -> Guidance: ...

@stage("guide", "pag")
def pag(guidance: Guidance, *, scale: Annotated[float, Range(0, 100)] = 3.0) -> Guidance: ...

@stage("mask", "diffedit", moot=(Moot("clamp", "ceiling", "'ceiling' says what counts as whole"),))
async def diffedit(latents: Latents, edit: Edit, model: Denoiser, schedule: Schedule, noise: NoiseSource, *,
                   strength: Fraction = 0.5, threshold: Fraction = 0.5, maps: Count = 10, clamp: float = 3.0,
                   ceiling: float = 0.0) -> Mask: ...

@stage("mask", "attention")
async def attention(latents: Latents, edit: Edit, model: Denoiser, *,
                    words: tuple[Annotated[str, WordsOf("source")], ...] = ()) -> Mask: ...

@stage("mask", "file")
def mask_file(pictures: Pictures, *, path: str, label: Annotated[int, Range(0, 65535)] | None = None) -> Mask: ...

@stage("mask", "dilate")
def dilate(mask: Mask, *, pixels: Count = 1) -> Mask: ...

@stage("mask", "feather")
def feather(mask: Mask, *, pixels: Annotated[float, Range(0, 512)] = 1.0) -> Mask: ...

@stage("mask", "union")
def union(mask: Mask, other: Mask) -> Mask: ...

@stage("mask", "subtract")
def subtract(mask: Mask, other: Mask) -> Mask: ...

@stage("distil", "dds")
async def dds(latents: Latents, edit: Edit, model: Denoiser, guidance: Guidance,
              mask: Mask | None = None) -> Latents: ...

@stage("blend", "latent", default=True)
def blend_latent(mask: Mask) -> Blend: ...

@stage("mask", "box",
       needs=(Need("left < right", "has its left side right of its right one", "write left={right} right={left}"),))
def box(latents: Latents, *, left: Annotated[float, Range(0, 1)] = 0.0, right: Annotated[float, Range(0, 1)] = 1.0
        ) -> Mask: ...

@stage("mask", "color")
def color(latents: Latents, *, name: Annotated[str, Pattern("#[0-9a-fA-F]{6}", "a colour as #rrggbb", "#ff8000")]
          ) -> Mask: ...

@stage("blend", "local")
def blend_local(edit: Edit) -> Blend: ...

@stage("sample", "sdedit")
async def sdedit(latents: Latents, prompt: TargetPrompt, model: Denoiser, schedule: Schedule, noise: NoiseSource,
                 guidance: Guidance, *, strength: Fraction = 0.6) -> Latents: ...

@stage("sample", "walk", default=True)
async def walk(trajectory: Trajectory, edit: Edit, negative: NegativePrompt, model: Denoiser, guidance: Guidance,
               attend: tuple[AttentionControl, ...] = (), blend: tuple[Blend, ...] = (),
                 solver: Rule | None = None) -> Latents: ...

@stage("schedule", "levels", facts={"steps": "len(at)"})
def levels(schedule: Schedule, *, at: tuple[Annotated[float, Range(0, 1000)], ...]) -> Schedule: ...

@stage("schedule", "karras", predicts=("epsilon", "v_prediction"))
def karras(schedule: Schedule) -> Schedule: ...

@stage("solver", "heun", facts={"predictions": 2})
def heun() -> Rule: ...

@stage("tune", "lora")
def lora(model: Denoiser, adapters: Adapters, *, path: str, scale: float = 1.0) -> Denoiser: ...
"""


SITES = (Site("up.0", "self", "up", 0, 1), Site("up.1", "cross", "up", 0, 2))
find_model = among("storybook", "sd15", "other", sites=SITES, largest_side=1024)


_FOLDER = TemporaryDirectory()  # which goes with the process


@cache
def world() -> Environment:
    """What the recipes of these tests look at."""
    folder = Path(_FOLDER.name)
    for name in PICTURES:
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64)).save(folder / name)
    Image.new("RGB", (2000, 40)).save(folder / "wide.png")
    Image.new("L", (64, 64), 3).save(folder / "labels.png")
    (folder / "torn.png").write_bytes(b"not a picture")
    touched(folder / "touched.png")
    for name, text in LIBRARIES.items():
        (folder / f"{name}.retouch").write_text(text)
    (folder / "lang_stages.py").write_text(STAGES)
    sys.path.append(str(folder))
    stages = registry.load([Plugin("lang", "lang_stages")])
    assert not stages.faults, stages.faults
    return Environment(stages, folder, here=folder, find_model=find_model)
