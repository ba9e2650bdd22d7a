"""The transformer of Stable Diffusion 3, and its prompts of three encoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retouch.api import Prompt
from retouch.api.families import Ask, Net, Rows, Spans
from retouch.api.kit import Encoded, wide


class SD3Net(Net):
    """Tokens of the picture, then of the text."""

    def __init__(self, module: nn.Module, side: int) -> None:
        super().__init__(module)
        self.side = side  # latent cells along one side of a token

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """[B, C, h, w]"""
        return ask(rows.x, rows.embeds, rows.extra["pooled"], rows.timesteps, return_dict=False)[0]

    def spans(self, rows: Rows) -> Spans:
        """The picture's patches come first."""
        tokens = (rows.x.shape[-2] // self.side) * (rows.x.shape[-1] // self.side)
        return Spans(slice(0, tokens), slice(tokens, tokens + rows.embeds.shape[1]))


def joined(text: str, small: Encoded, large: Encoded, long: Encoded) -> Prompt:
    """Put the CLIPs side by side, filled with zeros to T5's width, and T5's tokens behind them."""
    assert small.pooled is not None
    assert large.pooled is not None
    clips = wide(torch.cat((small.embeds, large.embeds), -1), long.embeds.shape[-1])
    return Prompt(
        text,
        torch.cat((clips, long.embeds)),
        small.tokens.spans + long.tokens.spans,
        small.tokens.ids + long.tokens.ids,
        (len(clips), len(long.embeds)),
        {"pooled": torch.cat((small.pooled, large.pooled))},
    )
