"""The UNet of Stable Diffusion XL, and its prompts of two encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from retouch.api import Prompt
from retouch.api.families import Rows
from retouch.api.kit import Encoded, UNet


class UNetXL(UNet):
    """It is told the pooled text, and that the picture is whole: as large as it was, cropped nowhere."""

    def __init__(self, module: nn.Module, scale: int) -> None:
        super().__init__(module)
        self.scale = scale  # pixels per latent cell

    def conditions(self, rows: Rows) -> dict[str, Any]:
        """The pooled text, and sizes in pixels."""
        tall, wide = (rows.timesteps.new_full(rows.timesteps.shape, n * self.scale) for n in rows.x.shape[-2:])
        nothing = torch.zeros_like(tall)
        sizes = torch.stack((tall, wide, nothing, nothing, tall, wide), 1)
        return {"added_cond_kwargs": {"text_embeds": rows.extra["pooled"], "time_ids": sizes}}


def joined(*, zeroed: bool) -> Callable[[str, Encoded, Encoded], Prompt]:
    """Return what makes a prompt of two readings, which have a token for each place.

    zeroed: whether the empty text is all zeros, as the network was trained to know it.
    """

    def join(text: str, small: Encoded, large: Encoded) -> Prompt:
        embeds, pooled = torch.cat((small.embeds, large.embeds), -1), large.pooled
        assert pooled is not None
        if zeroed and not text:
            embeds, pooled = torch.zeros_like(embeds), torch.zeros_like(pooled)
        return Prompt(text, embeds, small.tokens.spans, small.tokens.ids, extra={"pooled": pooled})

    return join
