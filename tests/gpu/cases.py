"""Every built-in stage, with options under which its result is a continuous function of its inputs, or nearly so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retouch import pictures
from retouch.api import AttentionMaps, Canvas, Image, Mask, Trajectory
from retouch.models.kit.codecs import VaeCodec as Codec
from retouch.run.executor import Executor, run
from retouch.run.files.outbox import FileIn, FileOut
from retouch.run.task import Task
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.p2p import p2p
from retouch_methods.attend.pnp_features import pnp_features
from retouch_methods.blend.latent import latent
from retouch_methods.blend.local import local
from retouch_methods.blend.pixel import pixel
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.pix2pix_zero import pix2pix_zero
from retouch_methods.guide.proximal import proximal
from retouch_methods.guide.semantic import semantic
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.direct import direct
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.fixed_point import fixed_point
from retouch_methods.invert.negative_prompt import negative_prompt
from retouch_methods.invert.null_text import null_text
from retouch_methods.invert.pnp_inversion import pnp_inversion
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.mask.algebra import intersect, invert, subtract, union
from retouch_methods.mask.attention import attention
from retouch_methods.mask.diffedit import diffedit
from retouch_methods.mask.given import box, color, file
from retouch_methods.mask.shape import dilate, erode, feather, threshold
from retouch_methods.picture.codec import decode, encode
from retouch_methods.picture.files import contact, open_image, save_image, save_latents, save_mask
from retouch_methods.picture.measure import change
from retouch_methods.require.certificate import cycle, gaussian, psnr
from retouch_methods.sample.sample import sample

Case = Callable[[World, Path], Sequence[Tensor]]


def made(world: World, stage: Callable[..., Any], **given: Any) -> Any:
    """What a stage gives, driven to its end."""
    task = Task(lambda: world.call(stage, **given))  # a plain function's work is a tick's, too
    Executor().run([task])
    if task.error:
        raise task.error
    return task.result


def edited(world: World, trajectory: Trajectory, **ports: Any) -> Tensor:
    """The latents that `sample` ends at."""
    return made(world, sample, trajectory=trajectory, **ports).data


def inverts(stage: Callable[..., Any], **options: Any) -> Case:
    """The states that an inversion records, and the edit of them."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        trajectory = made(world, stage, **options)
        return trajectory.states, edited(world, trajectory)

    return case


def attends(stage: Callable[..., Any], **options: Any) -> Case:
    """The edit under a control, beside its source."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        control = made(world, stage, **({"mask": half(world)} if stage is masactrl else {}), **options)
        return (edited(world, made(world, ddim, pinned="always"), attend=(control,)),)

    return case


def guides(stage: Callable[..., Any], **options: Any) -> Case:
    """The edit under a guidance."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        guided = replace(world, guidance=made(world, stage, **options))
        return (edited(guided, made(world, ddim)),)

    return case


def masks(stage: Callable[..., Any], **options: Any) -> Case:
    """A mask; stages of masks are given soft ones."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        given = {"other": soft(world, 9)} if stage in (union, intersect, subtract) else {}
        given |= {"source": picture(world, 16)} if stage is color else {}
        given |= {"pictures": FileIn(world.latents.data.device)} if stage is file else {}
        told = {"path": drawn(folder, 32)} if stage is file else {}
        return (made(replace(world, mask=soft(world, 7)), stage, **given, **told, **options).data,)

    return case


def like(world: World, seed: int) -> Draws:
    """Draws on the world's device, in the precision of its latents."""
    return Draws(seed, world.latents.data.dtype, world.latents.data.device)


def soft(world: World, seed: int) -> Mask:
    """A mask of all shades."""
    return Mask(like(world, seed).tensor(8, 8).sigmoid(), scale=4)


def half(world: World) -> Mask:
    """The left half."""
    data = torch.zeros_like(world.mask.data)
    data[:, :4] = 1
    return Mask(data, scale=4)


def picture(world: World, side: int, seed: int = 5) -> Image:
    """A picture of noise, with alpha."""
    draws = like(world, seed)
    return Image(draws.tensor(3, side, side).sigmoid(), draws.tensor(side, side).sigmoid())


def drawn(folder: Path, side: int) -> str:
    """A picture file of noise, with alpha."""
    noise = np.random.default_rng(3)
    path = folder / f"drawn{side}.png"
    pictures.write(
        path, noise.integers(0, 256, (side, side, 3), np.uint8), noise.integers(0, 256, (side, side), np.uint8)
    )
    return str(path)


def read(path: Path) -> Tensor:
    """A written picture, in [0, 1]."""
    return torch.tensor(pictures.read(path).rgb).double() / 255


@cache
def codec(dtype: torch.dtype, device: torch.device) -> Codec:
    """A random VAE of the Stable Diffusion shape, 2 pixels a cell."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    with torch.random.fork_rng():
        torch.manual_seed(2)
        vae = AutoencoderKL(
            block_out_channels=(16, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=16,
        )
    return Codec(torch.nn.Module.to(vae, device, dtype).eval().requires_grad_(False), 2, 8, 16, factor=0.5)


def codec_of(world: World) -> Codec:
    return codec(world.model.core.dtype, world.latents.data.device)


def encodes(world: World, folder: Path) -> Sequence[Tensor]:
    """A picture that has to be padded."""
    return (made(world, encode, image=picture(world, 13), codec=codec_of(world)).data,)


def decodes(world: World, folder: Path) -> Sequence[Tensor]:
    """Latents whose picture has to be cut back."""
    latents = replace(world.latents, canvas=Canvas(13, 15, 2))
    return (made(replace(world, latents=latents), decode, codec=codec_of(world)).data,)


def blends_latents(world: World, folder: Path) -> Sequence[Tensor]:
    """The edit under a soft blend."""
    blend = made(replace(world, mask=soft(world, 7)), latent, shrink=1)
    return (edited(world, made(world, ddim), blend=(blend,)),)


def blends_by_words(world: World, folder: Path) -> Sequence[Tensor]:
    """Drawn states, blended by drawn maps."""
    draws, blend = like(world, 11), made(world, local, start=0.0, side=8, threshold=0.5, keep=("white",))
    maps = AttentionMaps({(name, "cond"): draws.tensor(64, 7).softmax(-1) for name in ("source", "target")}, 1)
    state, source = draws.tensor(1, 4, 8, 8), draws.tensor(1, 4, 8, 8)
    return [blend.apply(state, source, step, maps) for step in world.schedule]


def blends_pixels(world: World, folder: Path) -> Sequence[Tensor]:
    """A paste with a feathered edge, and a seamless one."""
    given = {"image": picture(world, 32, 5), "source": picture(world, 32, 6), "mask": half(world)}
    return [made(world, pixel, **given, **options).data for options in ({"feather": 3}, {"seam": "poisson"})]


def opens(world: World, folder: Path) -> Sequence[Tensor]:
    """A file's colours and its alpha."""
    found = made(world, open_image, pictures=FileIn(world.latents.data.device), path=drawn(folder, 24))
    return found.data, found.alpha


def saves_picture(world: World, folder: Path) -> Sequence[Tensor]:
    """What the written file holds."""
    made(world, save_image, image=picture(world, 24), outbox=FileOut(lambda _: {}), path=str(folder / "saved.png"))
    return (read(folder / "saved.png"),)


def saves_mask(world: World, folder: Path) -> Sequence[Tensor]:
    """What the written file holds."""
    given = {"outbox": FileOut(lambda _: {}), "path": str(folder / "mask.png")}
    made(replace(world, mask=soft(world, 7)), save_mask, **given)
    return (read(folder / "mask.png"),)


def saves_latents(world: World, folder: Path) -> Sequence[Tensor]:
    """What the written file holds."""
    from safetensors.torch import load_file

    path = folder / "latents.safetensors"
    made(world, save_latents, outbox=FileOut(lambda _: {}), path=str(path))
    return (load_file(path)["latents"],)


def lays_out(world: World, folder: Path) -> Sequence[Tensor]:
    """The bytes that a contact sheet is given."""
    from retouch.run.files.shared import _Sheet

    sheet = _Sheet([()])
    made(world, contact, image=picture(world, 24), sheet=sheet.at(()), path="sheet.png")
    return [torch.from_numpy(cell).double() / 255 for cell in sheet.cells.values()]


def measures(world: World, folder: Path) -> Sequence[Tensor]:
    """What a table is given."""
    table: dict[str, float] = {}
    given = {"image": picture(world, 32, 5), "source": picture(world, 32, 6), "mask": half(world)}
    made(world, change, figures=SimpleNamespace(put=table.update), path="table.csv", **given)
    return (torch.tensor(list(table.values())),)


def requires(stage: Callable[..., Any], **floor: float) -> Case:
    """What a requirement measures."""

    def case(world: World, folder: Path) -> Sequence[Tensor]:
        here = replace(world, latents=replace(world.latents, canvas=Canvas(16, 16, 2)))
        given = {"codec": codec_of(world)} if stage is psnr else {}
        found = made(here, stage, trajectory=made(world, ddim), **given, **floor)
        return (torch.tensor([float(value.split()[0]) for value in found.certificate.values()]),)

    return case


def guides_by_masks(world: World, folder: Path) -> Sequence[Tensor]:
    """One prediction under LEDITS++'s masks, which are hard."""
    guide, step = made(world, semantic, scale=1, add=("a red hat",), quantile=0.5), world.schedule.steps[1]
    edit = world.edit
    return (run(guide(world.model, world.latents.data, step.noisy, edit.target, edit.negative))[0].pair,)


CONTINUOUS: dict[str, Case] = {
    "attend masactrl": attends(masactrl, masked=True),
    "attend p2p": attends(p2p, words=("dog",), word_replace=(0.5,)),
    "attend pnp_features": attends(pnp_features),
    "blend latent": blends_latents,
    "blend pixel": blends_pixels,
    "guide cfg": guides(cfg, guidance=2.0),
    "guide pix2pix_zero": guides(pix2pix_zero, guidance=2.0),
    "guide proximal": guides(proximal, norm="l1", quantile=0.5, guidance=2.0),
    "guide semantic": guides(semantic, mask="none", add=("a red hat",), guidance=2.0, scale=1),
    "invert cycle_diffusion": inverts(cycle_diffusion),
    "invert ddim": inverts(ddim, convention="fixed_point", iterations=2),
    "invert direct": inverts(direct, injected=2),
    "invert edict": inverts(edict),
    "invert edit_friendly": inverts(edit_friendly),
    "invert fixed_point": inverts(fixed_point, iterations=2),
    "invert negative_prompt": inverts(negative_prompt, interpolation=0.3),
    "invert null_text": inverts(null_text, inner_steps=2, stop=0.0, stop_growth=0.0),
    "invert pnp_inversion": inverts(pnp_inversion, scale=0.5),
    "invert sdedit": inverts(sdedit, eta=0.5),
    "mask invert": masks(invert),
    "mask union": masks(union),
    "mask intersect": masks(intersect),
    "mask subtract": masks(subtract),
    "mask attention": masks(attention, words=("cat",), threshold=0.0),
    "mask file": masks(file),
    "mask box": masks(box, left=0.2, right=0.7),
    "mask dilate": masks(dilate),
    "mask erode": masks(erode),
    "mask feather": masks(feather, pixels=8),
    "encode vae": encodes,
    "decode vae": decodes,
    "open image": opens,
    "save image": saves_picture,
    "save mask": saves_mask,
    "save latents": saves_latents,
    "sheet contact": lays_out,
    "measure change": measures,
    "require psnr": requires(psnr, min_=0.0),
    "require cycle": requires(cycle, max_=10.0),
    "require gaussian": requires(gaussian, max_=10.0),
    "sample walk": inverts(ddim),
}
"""Compared by distance."""

DECIDING: dict[str, Case] = {
    "blend local": blends_by_words,
    "guide semantic": guides_by_masks,
    "mask color": masks(color, name="#808080", tolerance=0.3),
    "mask diffedit": masks(diffedit, maps=4),
    "mask threshold": masks(threshold),
    "mask attention": masks(attention, words=("cat",)),
}
"""Compared by the share of values that agree: where a threshold falls between two roundings, a cell may flip."""
