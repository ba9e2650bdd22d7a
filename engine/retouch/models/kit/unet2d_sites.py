"""The sites of a diffusers UNet2DModel, which reads no text, read from its config alone.

Forward order: down blocks, middle, up blocks; in a block resnet 0, attention 0, resnet 1, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from retouch.core.declared.touches import Kind, Site
from retouch.models.errors import BrokenModel
from retouch.models.kit.unet_sites import levels_of, numbered

# Whether a block attends after each of its residual blocks.
_ATTENDS = {
    "AttnDownBlock2D": True,
    "DownBlock2D": False,
    "ResnetDownsampleBlock2D": False,
    "AttnUpBlock2D": True,
    "UpBlock2D": False,
    "ResnetUpsampleBlock2D": False,
}
_MID = "UNetMidBlock2D"


def unet2d_sites(config: Mapping[str, Any]) -> tuple[Site, ...]:
    """Every residual block and every attention of the network, in forward order."""
    return numbered(_walk(config))


def _walk(config: Mapping[str, Any]) -> Iterator[tuple[Kind, str, int]]:
    blocks = (*config["down_block_types"], *config["up_block_types"])
    strange = [block for block in blocks if _today(block) not in _ATTENDS]
    if (mid := config.get("mid_block_type", _MID)) not in (_MID, None):
        strange.append(str(mid))
    if strange:
        raise BrokenModel(f"the network uses '{strange[0]}', which is not known of networks that work on pixels")
    levels, layers = levels_of(config), config.get("layers_per_block", 2)
    for i, block in enumerate(config["down_block_types"]):
        yield from _block(f"down_blocks.{i}", layers, 2**i, attends=_ATTENDS[_today(block)])
    deepest = 2 ** (levels - 1)
    if config.get("mid_block_type", _MID):
        yield "resnet", "mid_block.resnets.0", deepest
        if config.get("add_attention", True):
            yield "self", "mid_block.attentions.0", deepest
        yield "resnet", "mid_block.resnets.1", deepest
    for i, block in enumerate(config["up_block_types"]):
        yield from _block(f"up_blocks.{i}", layers + 1, 2 ** (levels - 1 - i), attends=_ATTENDS[_today(block)])


def _block(name: str, layers: int, scale: int, *, attends: bool) -> Iterator[tuple[Kind, str, int]]:
    for layer in range(layers):
        yield "resnet", f"{name}.resnets.{layer}", scale
        if attends:
            yield "self", f"{name}.attentions.{layer}", scale


def _today(block: str) -> str:
    """A block's name in the diffusers of today, which still reads the first ones."""
    return block.removeprefix("UNetRes")
