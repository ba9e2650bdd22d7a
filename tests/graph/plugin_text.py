"""A small plugin as text, none of it ever imported."""

STAGES = """
from typing import Annotated, Literal

from retouch.api import (
    Adapters, AttentionControl, Blend, Codec, Denoiser, Edit, Ending, Guidance, Image, Latents, Mask, Moot, Need,
    NegativePrompt, NoiseSource, Outbox, Pattern, Pictures, Range, Rule, Schedule, Sheet, SourceImage,
    SourceLatents, SourcePrompt, Touch, Trajectory, WordsOf, stage,
)


@stage("open", "image", default=True)
def open_image(pictures: Pictures, *, path: str = "", caption: str = "",
               size: Annotated[int, Range(0, 8192)] = 0) -> Image: ...

@stage("encode", "vae", default=True)
async def encode(image: Image, codec: Codec) -> Latents: ...

@stage("decode", "vae", default=True)
async def decode(latents: Latents, codec: Codec) -> Image: ...

@stage("save", "image", default=True)
def save_image(image: Image, outbox: Outbox, *, path: Annotated[str, Ending("picture")] = "",
               quality: Annotated[int, Range(1, 100), Ending("picture:quality")] | None = None) -> None: ...

@stage("save", "mask")
def save_mask(mask: Mask, outbox: Outbox, *, path: Annotated[str, Ending("picture")] = "") -> None: ...

@stage("save", "latents")
def save_latents(latents: Latents, outbox: Outbox, *, path: Annotated[str, Ending(".safetensors")]) -> None: ...

@stage("sheet", "contact", default=True)
def contact(image: Image, sheet: Sheet, *, path: Annotated[str, Ending("picture")]) -> None: ...

@stage("require", "psnr")
def require(trajectory: Trajectory, latents: Latents, *, min: Annotated[float, Range(0, 100)]) -> Trajectory: ...

@stage("compare", "source", default=True)
def compare(image: Image, source: SourceImage) -> None: ...

@stage("measure", "psnr")
def psnr(image: Image, against: Image) -> None: ...

@stage("invert", "ddim", rows="int(steps * strength)",
       facts={"steps": "int(steps * strength)", "evaluations": 1, "pinned": "pinned", "replays": "'any'"})
async def ddim(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule,
               *, convention: Literal["target", "source"] = "target", strength: Annotated[float, Range(0, 1)] = 1.0,
               pinned: bool = False) -> Trajectory: ...

@stage("invert", "null_text", rows="(4 * steps, (3 + inner) * steps)", facts={"evaluations": 1, "pinned": False},
       words="needed", instead="invert ddim")
async def null_text(latents: Latents, prompt: SourcePrompt, negative: NegativePrompt, model: Denoiser,
                    schedule: Schedule, guidance: Guidance,
                    *, inner: Annotated[int, Range(1, 100)] = 10) -> Trajectory: ...

@stage("invert", "edict", rows="2 * steps", facts={"evaluations": 2, "pinned": True})
async def edict(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule,
                guidance: Guidance) -> Trajectory: ...

@stage("attend", "p2p", touches=(Touch("cross", "transform", "probs"), Touch("self", "replace", "qk", until="self_")))
def p2p(edit: Edit, *, self_: Annotated[float, Range(0, 1)] = 0.4): ...

@stage("attend", "masactrl", touches=(Touch("self", "replace", "kv", start="start"),))
def masactrl(edit: Edit, *, start: Annotated[float, Range(0, 1)] = 0.1): ...

@stage("invert", "fixed_point", facts={"evaluations": 1})
async def fixed_point(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule) -> Trajectory: ...

@stage("invert", "rf_solver", predicts=("flow",), instead="invert fixed_point")
async def rf_solver(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule) -> Trajectory: ...

@stage("guide", "distilled", facts={"guide": 1}, told=("guidance",), instead="guide cfg")
def distilled(*, guidance: Annotated[float, Range(0, 100)] = 3.5) -> Guidance: ...

@stage("guide", "cfg", default=True, facts={"guide": "1 if guidance == 1 else 2"})
def cfg(*, guidance: Annotated[float, Range(0, 100)] = 7.5) -> Guidance: ...

@stage("guide", "semantic", reads=(Touch("cross", "read", "maps", scale=("scale", "scale")),))
def semantic(*, scale: Annotated[int, Range(1, 64)] = 2) -> Guidance: ...

@stage("guide", "pag", facts={"guide": "guide + 1"})
def pag(guidance: Guidance, *, scale: float = 3.0) -> Guidance: ...

@stage("mask", "diffedit", rows="2 * maps", moot=(Moot("clamp", "ceiling", "'ceiling' says what counts as whole"),))
async def diffedit(latents: Latents, edit: Edit, model: Denoiser, schedule: Schedule, noise: NoiseSource,
                   *, strength: Annotated[float, Range(0, 1)] = 0.5, maps: int = 10,
                   clamp: float = 3.0, ceiling: float = 0.0) -> Mask: ...

@stage("mask", "attention")
async def attention(latents: Latents, edit: Edit, model: Denoiser, *,
                    words: tuple[Annotated[str, WordsOf("source")], ...] = ()) -> Mask: ...

@stage("mask", "file")
def mask_file(pictures: Pictures, *, path: str, label: Annotated[int, Range(0, 65535)] | None = None) -> Mask: ...

@stage("mask", "dilate")
def dilate(mask: Mask, *, pixels: Annotated[int, Range(0, 512)] = 1) -> Mask: ...

@stage("mask", "union")
def union(mask: Mask, other: Mask) -> Mask: ...

@stage("blend", "latent", default=True)
def blend_latent(mask: Mask) -> Blend: ...

@stage("mask", "box",
       needs=(Need("left < right", "has its left side right of its right one", "write left={right} right={left}"),))
def box(latents: Latents, *, left: Annotated[float, Range(0, 1)] = 0.0, right: Annotated[float, Range(0, 1)] = 1.0
        ) -> Mask: ...

@stage("mask", "color")
def color(latents: Latents, *, name: Annotated[str, Pattern("#[0-9a-fA-F]{6}", "a colour as #rrggbb", "#ff8000")]
          ) -> Mask: ...

@stage("blend", "local", stability="experimental", facts={"readers": 1})
def blend_local(edit: Edit) -> Blend: ...

@stage("blend", "pixel")
def blend_pixel(image: Image, source: SourceImage, mask: Mask) -> Image: ...

@stage("sample", "ddim", default=True,
       rows="steps * evaluations * guide * (2 if attend or readers or (blend and not pinned) else 1)")
async def sample(trajectory: Trajectory, edit: Edit, model: Denoiser, guidance: Guidance,
                 attend: tuple[AttentionControl, ...] = (), blend: tuple[Blend, ...] = (),
                 solver: Rule | None = None) -> Latents: ...

@stage("distil", "dds", rows="2 * guide * rounds")
async def dds(latents: Latents, source: SourceLatents, edit: Edit, model: Denoiser, schedule: Schedule,
              guidance: Guidance, noise: NoiseSource, mask: Mask | None = None, *, rounds: int = 10,
              lr: float = 0.1) -> Latents: ...

@stage("schedule", "levels", facts={"steps": "len(at)"})
def levels(schedule: Schedule, *, at: tuple[Annotated[float, Range(0, 1000)], ...]) -> Schedule: ...

@stage("schedule", "karras", predicts=("epsilon", "v_prediction"))
def karras(schedule: Schedule) -> Schedule: ...

@stage("solver", "heun", facts={"predictions": 2})
def heun() -> Rule: ...

@stage("glaze", "small", side=64, facts={"passes": "rounds"})
async def glaze(image: Image, *, rounds: int = 3) -> Image: ...

@stage("tune", "lora")
def lora(model: Denoiser, adapters: Adapters, *, path: str, scale: float = 1.0) -> Denoiser: ...
"""
