"""What a pass of a network and a call of a codec need beside their weights, from configs and sizes alone.

A UNet keeps the hidden states that its way up reads again, and works in room of its widest ones:

    row = skips + NETWORK * widest     skips: sum of channels * cells over all stored states

A transformer keeps its tokens, of the picture and of the text, and works in the room of one block:

    row = tokens * width * BLOCK      BLOCK by the class: its queries, keys and values, and its MLP before and after

A decoder works at its last level but one, which still has that level's channels at the picture's size:

    picture = (CODEC * channels + PIXEL) * pixels

Attention's maps are not counted: kernels never hold them whole; a control that reads them takes them besides.  All
constants were measured (engine/README.md says how).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retouch.models.info import ModelInfo

Config = Mapping[str, Any]
Cells = tuple[int, int]

PROCESS = 420_000_000  # bytes that Python, torch and the libraries take on a CPU
KEPT = 350_000_000  # of what loading frees, the most that the allocator was seen to keep
NETWORK = 37
LED_ROW, LED_PICTURE = 5, 5.5  # times a row, a picture in the decoder, where a gradient goes back through it
CODEC, PIXEL = 3.5, 100


@dataclass(frozen=True, slots=True)
class Transformer:
    """How a transformer sees a picture: cells along one side of a token, its width, and the room that a block takes."""

    side: Callable[[Config], int]
    width: Callable[[Config], int]
    block: float


def _heads(net: Config) -> int:
    return net["num_attention_heads"] * net["attention_head_dim"]


TRANSFORMERS: Mapping[str, Transformer] = {
    "SD3Transformer2DModel": Transformer(lambda net: net["patch_size"], _heads, 12.6),
    "FluxTransformer2DModel": Transformer(lambda net: 2, _heads, 15.0),
    "Flux2Transformer2DModel": Transformer(lambda net: 1, _heads, 21.0),
    "QwenImageTransformer2DModel": Transformer(lambda net: net["patch_size"], _heads, 13.5),
    "ZImageTransformer2DModel": Transformer(lambda net: net["all_patch_size"][0], lambda net: net["dim"], 14.0),
}


def of_the_process(weights: int) -> int:
    """Bytes beside weights and work: the libraries, and what is kept of memory that loading has freed."""
    return PROCESS + min(KEPT, weights)


def of_a_row(model: ModelInfo, cells: Cells) -> float | None:
    """Numbers that one row of a pass needs at once; None where the network is of no class that was measured."""
    for part in ("unet", "transformer"):
        if part in model.known.parts:
            net = model.files.read(f"{part}/config.json")
            kind = net.get("_class_name")
            if kind == "UNet2DConditionModel":
                return unet(net, cells)
            if kind in TRANSFORMERS:
                return transformer(net, cells, model.known.tokens)
    return None


def of_a_picture(model: ModelInfo, cells: Cells) -> float | None:
    """Numbers that one picture needs while it is decoded; None where the VAE is of no class that was measured."""
    if "vae" not in model.known.parts:
        return None
    vae = model.files.read("vae/config.json")
    match vae.get("_class_name"):
        case "AutoencoderKL" | "AutoencoderKLFlux2":
            channels = vae["block_out_channels"]
        case "AutoencoderKLQwenImage":
            channels = [vae["base_dim"] * times for times in vae["dim_mult"]]
        case _:
            return None
    return decoder(channels, cells[0] * cells[1] * model.scale**2)


def unet(net: Config, cells: Cells) -> float:
    """Of one row of a UNet."""
    height, width = cells
    channels, layers = net["block_out_channels"], net.get("layers_per_block", 2)
    each = layers if isinstance(layers, list) else [layers] * len(channels)
    states = [channels[0] * height * width]
    for i, (width_of, count) in enumerate(zip(channels, each, strict=True)):
        area = (height >> i) * (width >> i)
        states += [width_of * area] * count
        states += [width_of * area // 4] if i + 1 < len(channels) else []
    return sum(states) + NETWORK * max(states)


def transformer(net: Config, cells: Cells, words: int) -> float:
    """Of one row of a transformer; words: tokens of the text."""
    sees = TRANSFORMERS[net["_class_name"]]
    side = sees.side(net)
    return sees.block * sees.width(net) * (cells[0] * cells[1] // side**2 + words)


def decoder(channels: list[int], pixels: int) -> float:
    """Of one picture in a VAE's decoder: the level before the last still comes in at its size."""
    return (CODEC * max(channels[:2]) + PIXEL) * pixels
