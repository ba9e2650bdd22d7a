"""Diffusion in pixels without a text: a UNet2DModel by itself.  Ho et al. 2020, Dhariwal & Nichol 2021.

It takes pictures from -1 to 1 and says their noise; what it is told besides is a time, and maybe a class.  A network
that says how much new noise a step should have (Nichol & Dhariwal 2021, learned variance) has twice as many channels to
give; walks here have no use for that half, and it is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from retouch.api.families import (
    BrokenModel,
    Described,
    Loaded,
    Loading,
    Read,
    Site,
    noise_levels,
    unet2d_sites,
    unet_levels,
    unet_memory,
)
from retouch_models.published import PUBLISHED
from retouch_models.stable_diffusion import prediction

if TYPE_CHECKING:
    from retouch.api import Schedule

_COLOURS = 3


class Pixels:
    """Unconditional models in the layout of DDPMPipeline and DDIMPipeline, such as the embedded one of 64 pixels."""

    name = "diffusion in pixels"

    def __init__(self, pipeline: str) -> None:
        self.published = PUBLISHED[pipeline]

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that the network takes pictures and a time, and nothing else."""
        unet, scheduler = read("unet/config.json"), read("scheduler/scheduler_config.json")
        takes, gives = unet.get("in_channels", _COLOURS), unet.get("out_channels", _COLOURS)
        if takes != _COLOURS or gives not in (_COLOURS, 2 * _COLOURS):
            raise BrokenModel(
                f"the network takes {takes} channels and gives {gives}; of pictures it takes 3 and gives 3 or 6"
            )
        if (times := unet.get("time_embedding_type", "positional")) != "positional":
            raise BrokenModel(f"the network is told its time as '{times}', and those that are known as 'positional'")
        if (kind := unet.get("class_embed_type")) is not None:
            raise BrokenModel(f"the network is told a class by '{kind}', and those that are known by its number")
        classes, sites = unet.get("num_class_embeds") or 0, unet2d_sites(unet)
        return Described(
            channels=_COLOURS,
            scale=1,
            multiple=2 ** (unet_levels(unet) - 1),
            trained_size=_side(unet),
            tokens=int(bool(classes)),
            classes=classes,
            prediction=prediction(read),
            parts=("unet",),
            tokenizers=(),
            sites=sites,
            grid=noise_levels(scheduler).grid,
            defaults={"guidance": 1.0, "source_guidance": 1.0},  # by nothing, or by what no class was never trained as
            stages={"attend masactrl": {"coarsest": _coarsest(sites)}, **_bounds(scheduler)},
            space=(),
            working=unet_memory(unet, pixel=2 * _COLOURS),  # moved to its range, and held to it
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of diffusers' DDIMScheduler over the trained noise levels."""
        from retouch.api.kit import ddim_schedule

        return ddim_schedule(read("scheduler/scheduler_config.json"), steps)

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the UNet, which is all there is."""
        from diffusers.models.unets.unet_2d import UNet2DModel

        from retouch.api.kit import ClassTexts, NoTexts, PixelCodec
        from retouch_models.networks.guided_diffusion import GuidedDiffusionUNet, by_own_names
        from retouch_models.networks.pixels import PixelUNet

        wide = "time_channels" in parts.config("unet/config.json")
        unet = parts.diffusers(GuidedDiffusionUNet if wide else UNet2DModel, "unet", names=by_own_names)
        where = parts.device, parts.dtype
        texts = ClassTexts(known.classes, *where) if known.classes else NoTexts(*where)
        return Loaded(PixelUNet(unet), PixelCodec.of(known), texts)


def _coarsest(sites: Iterable[Site]) -> int:
    """Up to where MasaCtrl shares: the finest attention of the decoder, and what is half as fine."""
    return 2 * min((site.scale for site in sites if site.kind == "self" and site.place == "up"), default=1)


def _bounds(scheduler: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Options of solvers where its own pipeline holds each predicted picture to a range."""
    if not scheduler.get("clip_sample", True):
        return {}
    bound = {"clip": scheduler.get("clip_sample_range", 1.0)}
    return {"solver ddim": bound, "solver ddpm": bound}


def _side(unet: Mapping[str, Any]) -> int:
    """The side of the pictures that it was trained on, the longer one where they are not square."""
    size = unet.get("sample_size")
    sides: list[Any] = size if isinstance(size, list) else [size]
    if not sides or any(type(side) is not int or side < 1 for side in sides):
        raise BrokenModel(f"unet/config.json has {size!r} as its sample_size, and that is a number of pixels")
    return max(sides)


DDPM, DDIM = Pixels("DDPMPipeline"), Pixels("DDIMPipeline")
