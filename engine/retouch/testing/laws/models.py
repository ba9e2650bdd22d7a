"""What a family of models promises: to be described without torch, and to give stages what they rely on."""

from __future__ import annotations

import ast
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from retouch.core.attention import AttentionControl, SiteCall
from retouch.core.awaited.combinators import gather
from retouch.core.declared.touches import Touch
from retouch.core.denoiser import Denoiser
from retouch.core.values import Canvas, Edit, Latents, Mask
from retouch.models.family import Described, Loaded, ModelFamily
from retouch.models.files.model_files import ModelFiles
from retouch.models.kit.loading import ModelLoading
from retouch.models.network.core import NetworkCore
from retouch.run.executor import run
from retouch.testing.laws.conduct import batch_law
from retouch.testing.laws.memory import memory_law
from retouch.testing.laws.running import predictions
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World

_HEAVY = ("torch", "diffusers", "transformers", "numpy", "safetensors")
_WORDS = ("a white cat", "a white dog", "")


def family_laws(family: ModelFamily, folder: Path, *, steps: int = 3) -> World:
    """Hold a family to its laws on a small model of it; return that model's world, for laws of stages on it.

    folder: a model in the diffusers layout; its weights may be random.
    """
    _loads_nothing_heavy(family)
    files = ModelFiles.of_folder(folder)
    known = family.describe(files.read)
    loaded = family.load(known, ModelLoading(files))
    side = 2 * known.multiple // known.scale
    schedule = family.schedule(files.read, steps, (side, side))
    assert len(schedule) == steps, f"{steps} steps were asked for, and the schedule has {len(schedule)}"
    noise = [level.sigma for level in schedule.levels]
    assert noise == sorted(noise, reverse=True), f"the noise of a schedule falls, and this is {noise}"
    assert schedule.steps[-1].clean.sigma < 0.1, f"a schedule ends at the picture, and this at sigma {noise[-1]:g}"
    _codec_fits(loaded, known)
    model = Denoiser(NetworkCore(loaded.net, known.prediction, known.sites, known.told))
    edit = Edit(*run(*(loaded.texts.prompt(text) for text in _WORDS)))
    canvas = Canvas(side * known.scale, side * known.scale, known.scale)
    x, mask = Draws(0).tensor(known.channels, side, side), Mask(torch.ones(side, side), known.scale)
    world = World(model, Latents(x, canvas), edit, schedule, mask=mask, codec=loaded.codec)
    if known.reads_words and not known.classes:
        (alone,) = run(loaded.texts.prompt(_WORDS[0]))
        ((among, *_),) = run(gather(loaded.texts.prompt(text) for text in (_WORDS[0], "a white cat on the beach", "")))
        assert alone.embeds.shape == among.embeds.shape, "a prompt is longer in company"
        away = (alone.embeds - among.embeds).abs().max()
        assert away < 1e-4, f"a prompt is another in company, by {away:g}"
        assert alone.positions("cat"), "its spans do not find the word 'cat'"
    _every_site_attends(world)
    memory_law(world, known)
    batch_law(lambda i: model(x, schedule.steps[i % steps].noisy, edit.source if i % 2 else edit.target))
    return world


def _loads_nothing_heavy(family: ModelFamily) -> None:
    """The module of a family is imported while recipes are checked."""
    module = inspect.getmodule(type(family)) or sys.modules[type(family).__module__]
    for node in ast.parse(inspect.getsource(module)).body:
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [f"{node.module}.{each.name}" for each in node.names] if isinstance(node, ast.ImportFrom) else []
        heavy = [name for name in names if name.split(".")[0] in _HEAVY or _loads_torch(name)]
        assert not heavy, f"its module loads '{heavy[0]}' at its top, line {node.lineno}; import it in 'load'"


def _loads_torch(name: str) -> bool:
    """Of what families import, all but `retouch.api.families` does."""
    return f"{name}.".startswith("retouch.api.") and not f"{name}.".startswith("retouch.api.families.")


def _codec_fits(loaded: Loaded, known: Described) -> None:
    tall, wide = loaded.codec.padded(known.multiple + 1, 1)
    assert (tall, wide) == (2 * known.multiple, known.multiple), f"sizes are not of {known.multiple}: {tall, wide}"
    with torch.no_grad():
        latents = loaded.codec.encode(torch.rand(1, 3, tall, wide, generator=torch.Generator().manual_seed(0)))
        picture = loaded.codec.decode(latents)
    said = [1, known.channels, tall // known.scale, wide // known.scale]
    assert list(latents.shape) == said, f"latents are described as {said}, and the codec gives {list(latents.shape)}"
    assert list(picture.shape) == [1, 3, tall, wide], f"a picture of {[tall, wide]} came back as {list(picture.shape)}"
    assert picture.min() >= 0, f"the decoder goes down to {picture.min():g}"
    assert picture.max() <= 1, f"the decoder goes up to {picture.max():g}"


def _every_site_attends(world: World) -> None:
    """A control at each site is called: the sites are modules that attend as the engine can see."""
    sites, calls = world.model.core.sites, Counter[str]()

    def noted(touch: Touch) -> tuple[Touch, Callable[[SiteCall], None]]:
        return touch, lambda attn: calls.update([attn.site.name + attn.site.kind])

    touches = [Touch("resnet", "transform", "features"), *(Touch(kind, "transform", "q") for kind in ("self", "cross"))]
    predictions(world, (AttentionControl(tuple(map(noted, touches))),), world.latents.data, world.latents.data)
    silent = [site.name for site in sites if not calls[site.name + site.kind]]
    assert not silent, f"nothing attends at the site '{silent[0]}', nor at {len(silent) - 1} others of {len(sites)}"
