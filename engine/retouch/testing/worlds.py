"""Worlds: everything that a stage may ask for, made of random numbers, and wired to its ports by type."""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, BinaryIO, Literal, NamedTuple, get_origin

import torch
from torch import Tensor

from retouch.core.awaited.resources import Codec
from retouch.core.denoiser import Denoiser
from retouch.core.device.transfer import upload
from retouch.core.guidance import unguided
from retouch.core.schedule import PredictionKind, Schedule
from retouch.core.turn import Candidates, Turn, Turned
from retouch.core.values import (
    Canvas,
    Edit,
    Image,
    Latents,
    Mask,
    NegativePrompt,
    NoiseSource,
    Prompt,
    SourceImage,
    SourcePrompt,
    TargetPrompt,
    TrainingPictures,
)
from retouch.core.walk import Guidance
from retouch.models.network.core import NetworkCore
from retouch.models.own_weights import OwnWeights, place_of
from retouch.plugins.announced import everything
from retouch.run.checkpoints import RunCheckpoints
from retouch.testing.gaussian import GaussianMixture
from retouch.testing.tiny import CELLS, CHANNELS, Draws, TinyCodec, TinyEyes, TinyTexts, schedule, tiny_core

FADED = (1, 0.5, 0)  # how much of the picture is left in each of a world's draws


class Keeping:
    """An outbox, a sheet and a table that keep in memory what they are given, for a test to look at."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.pictures: list[Image] = []
        self.figures: list[Mapping[str, float]] = []

    @contextmanager
    def file(self, path: str) -> Iterator[BinaryIO]:
        """A file in memory."""
        with io.BytesIO() as file:
            yield file
            self.files[path] = file.getvalue()

    def stamp(self, path: str) -> str:
        """Nothing is to be said."""
        return ""

    def note(self, path: str, words: str) -> None:
        """Nobody listens."""

    def image(self, path: str, image: Image, **how: Any) -> None:
        """Keep a picture."""
        self.pictures.append(image)

    def mask(self, path: str, pixels: Tensor) -> None:
        """Keep a mask, as a grey picture."""
        self.pictures.append(Image(pixels.expand(3, -1, -1)))

    def place(self, image: Image) -> None:
        """Keep a picture of a sheet."""
        self.pictures.append(image)

    def due(self, done: int, of: int) -> bool:
        """Of the last step alone."""
        return done == of

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Nobody watches."""

    def tell(self, words: str) -> None:
        """Nobody reads."""

    def put(self, figures: Mapping[str, float]) -> None:
        """Keep a row of a table."""
        self.figures.append(figures)


class Asked(NamedTuple):
    """What a stage gave its flow in one call."""

    image: Image
    source: Image | None
    mask: Mask | None
    key: str


class TinyTurn:
    """A flow as a value: one row a call, and a picture that is greyer where it is masked, or all over.

    asked: what its stage gave it, call by call.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked: list[Asked] = []

    async def __call__(
        self, image: Image, *, source: Image | None = None, mask: Mask | None = None, key: str = ""
    ) -> Turned:
        """Grey the picture where it is masked, as an edit would that keeps the rest."""
        self.asked.append(Asked(image, source, mask, key))
        edited = mask.pixels(*image.size) if mask else torch.ones_like(image.data[0])
        world, level = self._world, self._world.schedule.at(0.5)
        pred = await world.model(world.latents.data, level, world.edit.target)
        grey = image.data.mean() + 0 * pred.x0.mean().nan_to_num().to(image.data)
        return Turned(Image(torch.lerp(image.data, grey.expand_as(image.data), 0.5 * edited), image.alpha), mask)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """One picture's ports.  Worlds of one model are neighbours: their rows may share a forward pass."""

    model: Denoiser
    latents: Latents
    edit: Edit
    schedule: Schedule
    guidance: Guidance = unguided
    noise: NoiseSource = field(default_factory=lambda: NoiseSource(0))
    mask: Mask = field(default_factory=lambda: Mask(torch.ones(CELLS, CELLS), scale=4))
    codec: Codec | None = None  # its own where nothing is given: mean colours
    image: Image | None = None  # random colours of the canvas's size
    source: SourceImage | None = None  # another such picture: what the turn began with
    turn: Turn | None = None  # a flow that takes one row and greys the picture
    outbox: Any = field(default_factory=Keeping)  # and what a sheet and a table keep

    def __post_init__(self) -> None:
        """Draw what was not given."""
        data, canvas = self.latents.data, self.latents.canvas
        pictures = _pictures(canvas.height, canvas.width, data)
        drawn = {"codec": TinyCodec(len(data), canvas.scale), "image": Image(next(pictures)), "turn": TinyTurn(self)}
        for name, value in {**drawn, "source": SourceImage(next(pictures))}.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def call(self, stage: Callable[..., Any], **given: Any) -> Any:
        """The stage, called with ports by their types; `given` are its options, and ports by name."""
        parameters = inspect.signature(stage).parameters.values()
        place = self.latents.data.device, self.latents.data.dtype
        ports = [
            given.pop(p.name)
            if p.name in given
            else _weights(stage, *place)
            if _said(p) == "Weights"
            else self._port(p)
            for p in parameters
            if p.kind is not p.KEYWORD_ONLY
        ]
        return stage(*ports, **given)

    def null_edit(self) -> World:
        """The same picture, and nothing to change."""
        return replace(self, edit=replace(self.edit, target=self.edit.source))

    def neighbour(self, seed: int) -> World:
        """Another picture beside this one."""
        draws = Draws(seed, self.latents.data.dtype, self.latents.data.device)
        noise = replace(self.noise, seed=seed)
        return replace(self, latents=draws.latents(), edit=_edit(self.model, draws), noise=noise)

    def _port(self, parameter: inspect.Parameter) -> Any:
        if parameter.default is not parameter.empty:
            return parameter.default
        name = _said(parameter)
        if many := re.search(r"(\w+), \.\.\.\]$", name):
            kind = many[1]
            eyes = TinyEyes(self.latents.data.dtype, self.latents.data.device)
            made = {"ImageText": eyes.image_text, "VisionTokens": eyes.vision_tokens, "Perceptual": eyes.perceptual}
            if kind not in made:
                raise TypeError(f"a world has no {kind}; give the port by name")
            return (made[kind](),)
        assert self.image
        ports = {
            "Denoiser": self.model,
            "Latents": self.latents,
            "SourceLatents": self.latents,
            "Frame": self.latents,
            "Codec": self.codec,
            "Image": self.image,
            "SourceImage": self.source,
            **dict.fromkeys(("Outbox", "Sheet", "Figures"), self.outbox),
            "Edit": self.edit,
            "SourcePrompt": _as(SourcePrompt, self.edit.source),
            "TargetPrompt": _as(TargetPrompt, self.edit.target),
            "NegativePrompt": _as(NegativePrompt, self.edit.negative),
            "Schedule": self.schedule,
            "Guidance": self.guidance,
            "NoiseSource": self.noise,
            "Turn": self.turn,
            "Mask": self.mask,
            "TrainingPictures": TrainingPictures((self.source,) if self.source else ()),
            "TrainingLog": self.outbox,
            "Checkpoints": RunCheckpoints(None),
            "Notices": self.outbox,
            "Candidates": Candidates(tuple(Turned(Image(1 - share * (1 - self.image.data))) for share in FADED)),
            "TextEncoder": TinyTexts(self.latents.data.dtype, self.latents.data.device),
        }
        if (bare := name.rsplit(".", maxsplit=1)[-1]) not in ports:
            raise TypeError(f"a world has no {bare}; give port '{parameter.name}' by name")
        return ports[bare]


def tiny_world(
    kind: PredictionKind = "epsilon",
    *,
    steps: int = 6,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    **more: Any,
) -> World:
    """A random network of the Stable Diffusion shape: it has attention, and is no denoiser.  Worlds share it.

    Worlds of one seed are the same but for rounding, whatever their precision and device.
    dtype: of the network; as in a run, latents and masks are in float32 at least.
    more: of `tiny_core`: `acceleration`, and changes to the network's configuration.
    """
    core = _core(kind, dtype=dtype, device=torch.device(device), **more)
    kept = torch.promote_types(dtype, torch.float32)
    model, draws = Denoiser(core), Draws(seed, kept, device)
    grid = Schedule.flow(steps) if kind == "flow" else schedule(steps)
    return World(model, draws.latents(), draws.edit(), grid, mask=_whole(kept, device))


def _core(kind: PredictionKind, **more: Any) -> NetworkCore:
    """Return the network that all such worlds share; another one if a faulty stage has written into it."""
    core, weights = _built(kind, **more)
    if _total(core) != weights:
        _built.cache_clear()
        core, _ = _built(kind, **more)
    return core


@lru_cache(maxsize=16)
def _built(kind: PredictionKind, **more: Any) -> tuple[NetworkCore, float]:
    core = tiny_core(kind, **more)
    return core, _total(core)


def _total(core: NetworkCore) -> float:
    """Return what its weights come to; adding anything to one of them shows."""
    return float(torch.stack([weight.detach().double().sum() for weight in core.base.values()]).sum())


def gaussian_world(
    kind: Literal["diffusion", "flow"] = "diffusion",
    *,
    steps: int = 10,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    apart: float = 1.0,
    device: torch.device | str = "cpu",
) -> World:
    """A true denoiser in closed form, without attention: errors are the method's own.

    kind: on Stable Diffusion's levels, or on those of rectified flow, from noise alone.
    apart: how far the two prompts' pictures are; at 1 no prompt is needed to tell them apart, at 0.1 it is.
    """
    draws = Draws(seed, dtype, device)
    core = GaussianMixture(apart * draws.tensor(2, CHANNELS, CELLS, CELLS))
    model = Denoiser(core)
    picture = core.means[0] + core.spread * draws.tensor(CHANNELS, CELLS, CELLS)
    latents = Latents(picture, Canvas(CELLS * 4, CELLS * 4, 4))
    grid = Schedule.flow(steps) if kind == "flow" else schedule(steps)
    return World(model, latents, _edit(model, draws), grid, mask=_whole(dtype, device))


def _pictures(height: int, width: int, like: Tensor) -> Iterator[Tensor]:
    """Pictures of random colours, each the same every time.  [3, H, W] in [0, 1]"""
    generator = torch.Generator().manual_seed(7)
    while True:
        drawn = torch.rand(3, height, width, generator=generator, dtype=torch.float64)
        yield upload(drawn.to(like.dtype), like.device)


def _whole(dtype: torch.dtype, device: torch.device | str) -> Mask:
    return Mask(torch.ones(CELLS, CELLS, dtype=dtype, device=device), scale=4)


def _edit(model: Denoiser, draws: Draws) -> Edit:
    core = model.core
    if isinstance(core, GaussianMixture):
        return Edit(core.prompt(component=0), core.prompt(component=1), core.prompt())
    return draws.edit()


def _weights(stage: Any, device: torch.device, dtype: torch.dtype) -> OwnWeights:
    """The weights that the mark of a stage names, as its installed plugin has them."""
    top = stage.__module__.partition(".")[0]
    whose = next((each for each in everything() if each.plugin.module.partition(".")[0] == top), None)
    if whose is None:
        raise TypeError(f"no installed plugin has the module '{stage.__module__}', so nobody knows its weights")
    return OwnWeights({name: place_of(whose, name) for name in stage.retouch_stage.weights}, device, dtype)


def _said(parameter: inspect.Parameter) -> str:
    return parameter.annotation if isinstance(parameter.annotation, str) else _name(parameter.annotation)


def _name(annotation: Any) -> str:
    if annotation is Guidance:
        return "Guidance"
    return str(annotation) if get_origin(annotation) else annotation.__name__  # tuple[ImageText, ...]


def _as(kind: type[Prompt], prompt: Prompt) -> Prompt:
    return prompt.of(kind)
