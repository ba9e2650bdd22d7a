"""The transformer of FLUX.1, and its prompts of two encoders."""

from __future__ import annotations

import torch
from torch import Tensor

from retouch.api import Prompt
from retouch.api.families import Ask, Net, Rows, Spans
from retouch.api.kit import Encoded, cells, patches


class FluxNet(Net):
    """Tokens of the text, then of the picture, each of two by two latent cells."""

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """[B, C, h, w]"""
        height, width = rows.x.shape[-2:]
        out = ask(
            patches(rows.x, 2),
            rows.embeds,
            rows.extra["pooled"],
            rows.timesteps / 1000,
            img_ids=places(rows.x, (1, height // 2, width // 2)),
            txt_ids=rows.timesteps.new_zeros(rows.embeds.shape[1], 3),
            guidance=rows.told.get("guidance"),
            return_dict=False,
        )[0]
        return cells(out, (height, width), 2)

    def spans(self, rows: Rows) -> Spans:
        """The text comes first."""
        words = rows.embeds.shape[1]
        return Spans(slice(words, None), slice(0, words))


def places(x: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Where each token stands along each axis, the last axis fastest; made where x is.  [tokens, axes]"""
    axes = [torch.arange(count, dtype=torch.float32, device=x.device) for count in counts]
    return torch.cartesian_prod(*axes)


def joined(text: str, clip: Encoded, long: Encoded) -> Prompt:
    """T5's tokens, and what CLIP pools."""
    assert clip.pooled is not None
    return Prompt(text, long.embeds, long.tokens.spans, long.tokens.ids, extra={"pooled": clip.pooled})
