"""Diffusion in pixels without a text: a UNet2DModel by itself.  Ho et al. 2020, Dhariwal & Nichol 2021.

It takes pictures from -1 to 1 and says their noise; what it is told besides is a time.  A network that says how much
new noise a step should have (Nichol & Dhariwal 2021, learned variance) has twice as many channels to give; walks here
have no use for that half, and it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retouch.api.families import (
    BrokenModel,
    Described,
    Loaded,
    Loading,
    Read,
    noise_levels,
    unet2d_sites,
    unet_levels,
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
        _check(unet)
        return Described(
            channels=_COLOURS,
            scale=1,
            multiple=2 ** (unet_levels(unet) - 1),
            trained_size=_side(unet),
            tokens=0,
            prediction=prediction(read),
            parts=("unet",),
            tokenizers=(),
            sites=unet2d_sites(unet),
            grid=noise_levels(scheduler).grid,
            defaults={"guidance": 1.0, "source_guidance": 1.0},  # there is nothing to be guided by
            space=(),
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of diffusers' DDIMScheduler over the trained noise levels."""
        from retouch.api.kit import ddim_schedule

        return ddim_schedule(read("scheduler/scheduler_config.json"), steps)

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the UNet, which is all there is."""
        from diffusers.models.unets.unet_2d import UNet2DModel

        from retouch.api.kit import NoTexts, PixelCodec
        from retouch_models.networks.pixels import PixelUNet

        unet = parts.diffusers(UNet2DModel, "unet")
        return Loaded(PixelUNet(unet), PixelCodec.of(known), NoTexts(parts.device, parts.dtype))


def _side(unet: Mapping[str, Any]) -> int:
    """The side of the pictures that it was trained on, the longer one where they are not square."""
    size = unet.get("sample_size")
    sides: list[Any] = size if isinstance(size, list) else [size]
    if not sides or any(type(side) is not int or side < 1 for side in sides):
        raise BrokenModel(f"unet/config.json has {size!r} as its sample_size, and that is a number of pixels")
    return max(sides)


def _check(unet: Mapping[str, Any]) -> None:
    takes, gives = unet.get("in_channels", _COLOURS), unet.get("out_channels", _COLOURS)
    if takes != _COLOURS or gives not in (_COLOURS, 2 * _COLOURS):
        raise BrokenModel(
            f"the network takes {takes} channels and gives {gives}; of pictures it takes 3 and gives 3 or 6"
        )
    if (times := unet.get("time_embedding_type", "positional")) != "positional":
        raise BrokenModel(f"the network is told its time as '{times}', and those that are known as 'positional'")
    for option in ("num_class_embeds", "class_embed_type"):
        if unet.get(option) is not None:
            raise BrokenModel(f"the network wants to be told a class ({option} is {unet[option]!r})")


DDPM, DDIM = Pixels("DDPMPipeline"), Pixels("DDIMPipeline")
