"""The sites of a diffusers UNet2DConditionModel, read from its config alone.

Forward order: down blocks, middle, up blocks; in a block resnet 0, attention 0, resnet 1, and so on;
in a transformer block self-attention (attn1), then cross-attention (attn2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from retouch.core.declared.touches import Kind, Site, with_depth
from retouch.models.errors import BrokenModel

_ATTENDS = {
    "CrossAttnDownBlock2D": True,
    "DownBlock2D": False,
    "UpBlock2D": False,
    "CrossAttnUpBlock2D": True,
}
_MID = "UNetMidBlock2DCrossAttn"
_UNSUPPORTED = ("only_cross_attention", "mid_block_only_cross_attention", "dual_cross_attention")


class _Found(NamedTuple):
    kind: Kind
    name: str
    scale: int


def attention_sites(config: Mapping[str, Any]) -> tuple[Site, ...]:
    """Every resnet, self-attention and cross-attention of the network, in forward order."""
    return numbered(_walk(config))


def numbered(found: Iterable[tuple[Kind, str, int]]) -> tuple[Site, ...]:
    """The sites of a UNet by their kinds, names and scales, in forward order: each knows which of its kind it is."""
    count: Counter[str] = Counter()
    sites: list[Site] = []
    for kind, name, scale in found:
        place: Any = name.partition("_")[0]  # down_blocks.0…, mid_block…, up_blocks.3…
        sites.append(Site(name, kind, place, count[kind], scale))
        count[kind] += 1
    return with_depth(sites)


def levels_of(config: Mapping[str, Any]) -> int:
    """How many resolutions the network works at."""
    return len(config["block_out_channels"])


def _walk(config: Mapping[str, Any]) -> Iterator[_Found]:
    mid = config.get("mid_block_type", _MID)
    strange = [b for b in (*config["down_block_types"], *config["up_block_types"]) if b not in _ATTENDS]
    if mid != _MID:
        strange.append(str(mid))
    strange += [option for option in _UNSUPPORTED if config.get(option)]
    if strange:
        raise BrokenModel(f"the network uses '{strange[0]}', which is not of the Stable Diffusion 1 or 2 shape")
    levels = levels_of(config)
    layers = _each(config.get("layers_per_block", 2), levels)
    depths = _each(config.get("transformer_layers_per_block", 1), levels)
    depths_up = config.get("reverse_transformer_layers_per_block") or depths[::-1]
    for i, block in enumerate(config["down_block_types"]):
        yield from _block(f"down_blocks.{i}", layers[i], depths[i] if _ATTENDS[block] else None, 2**i)
    middle = 2 ** (levels - 1)
    yield _Found("resnet", "mid_block.resnets.0", middle)
    yield from _transformer("mid_block.attentions.0", _each(depths[-1], 1)[0], middle)
    yield _Found("resnet", "mid_block.resnets.1", middle)
    for i, block in enumerate(config["up_block_types"]):
        # On the way up a block has a resnet more, for what was kept before its level was halved.
        depth = depths_up[i] if _ATTENDS[block] else None
        yield from _block(f"up_blocks.{i}", layers[levels - 1 - i] + 1, depth, 2 ** (levels - 1 - i))


def _block(name: str, layers: int, depth: Any, scale: int) -> Iterator[_Found]:
    """One block; `depth` transformer blocks follow each resnet, None where the block does not attend."""
    depths = _each(depth, layers)
    for layer in range(layers):
        yield _Found("resnet", f"{name}.resnets.{layer}", scale)
        if depth is not None:
            yield from _transformer(f"{name}.attentions.{layer}", depths[layer], scale)


def _transformer(name: str, depth: int, scale: int) -> Iterator[_Found]:
    for j in range(depth):
        yield _Found("self", f"{name}.transformer_blocks.{j}.attn1", scale)
        yield _Found("cross", f"{name}.transformer_blocks.{j}.attn2", scale)


def _each(value: Any, n: int) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] * n
