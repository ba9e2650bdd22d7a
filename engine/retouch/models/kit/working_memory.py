"""What passes of networks and calls of codecs need beside their weights, from configs alone.  No torch.

Of tensors that live at once, counted on networks of full size without memory (engine/README.md says what of), and a
quarter more for convolutions: their kernels copy what they read to a layout of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retouch.models.family import WorkingMemory

CONVOLVED = 1.25  # bytes that convolutions were seen to take, over those of tensors that live
ATTENDING, CONVOLVING = 22, 9  # hidden states that a block of a UNet holds at once: its MLP is the most, or its norms
DECODING = 3  # hidden states that the widest block of a decoder holds at once


def unet_memory(unet: Mapping[str, Any], pixel: float) -> WorkingMemory:
    """Of a UNet; pixel: of its codec, such as `vae_memory(…)`.

    The way up reads stored states again; beside them the widest block works:

        row = skips + max(22 * widest with transformer blocks, 9 * widest)
    """
    channels, layers = unet["block_out_channels"], unet.get("layers_per_block", 2)
    each = layers if isinstance(layers, list | tuple) else [layers] * len(channels)
    reads = any("CrossAttn" in block for block in unet["down_block_types"])
    stored, work = float(channels[0]), 0.0
    for i, (width, count, block) in enumerate(zip(channels, each, unet["down_block_types"], strict=True)):
        share = width / 4**i  # numbers of a hidden state, for each latent cell
        lowest = i + 1 == len(channels)
        stored += share * count + (0 if lowest else share / 4)
        transforms = "CrossAttn" in block or (lowest and reads)  # below the lowest level lies the middle, which does
        work = max(work, (ATTENDING if transforms else CONVOLVING) * share)
    return WorkingMemory(cell=CONVOLVED * (stored + work), pixel=pixel)


def token_memory(width: int, *, picture: float, text: float, side: int, pixel: float) -> WorkingMemory:
    """Of a transformer; pixel: of its codec, such as `vae_memory(…)`.

    width: of a token's hidden state; picture, text: how many of them each token holds at once.
    side: latent cells along one side of a token.
    """
    return WorkingMemory(picture * width / side**2, text * width, pixel)


def vae_memory(channels: Sequence[int], states: float = DECODING) -> float:
    """Return the numbers for each pixel of an AutoencoderKL's decoder; states: that its widest block holds at once.

    The last level comes in at its own size with the channels of the one before.
    """
    return CONVOLVED * states * max(channels[:2])
