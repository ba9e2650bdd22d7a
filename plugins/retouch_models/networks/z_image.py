"""The transformer of Z-Image, and its prompts, of which it wants the real tokens alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retouch.api import Prompt
from retouch.api.families import Ask, Net, Rows, Spans
from retouch.api.kit import Encoded

_MULTIPLE = 32  # tokens, to which the network fills up the picture and the text with what it has learned for that


class ZImageNet(Net):
    """Tokens of the picture and what fills them up, then of the text."""

    capturable = False  # how many words each row has is asked of the device

    def __init__(self, module: nn.Module, side: int) -> None:
        super().__init__(module)
        self.side = side  # latent cells along one side of a token

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """Tell the time from noise, 0 to 1, and turn the answer, which points to the picture.  [B, C, h, w]"""
        words = [row[:count] for row, count in zip(rows.embeds, rows.extra["count"].tolist(), strict=True)]
        frames = list(rows.x[:, :, None].unbind())
        # As its pipeline writes it: 1 - t / 1000 has another last bit.
        time = (1000 - rows.timesteps) / 1000
        out = ask(frames, time, words, return_dict=False, patch_size=self.side)[0]
        return -torch.stack(list(out))[:, :, 0]

    def spans(self, rows: Rows) -> Spans:
        """The picture's tokens, without what fills them up, and the text's behind that."""
        tokens = (rows.x.shape[-2] // self.side) * (rows.x.shape[-1] // self.side)
        filled = -(-tokens // _MULTIPLE) * _MULTIPLE
        return Spans(slice(0, tokens), slice(filled, filled + rows.embeds.shape[1]))


def counted(text: str, read: Encoded) -> Prompt:
    """Make a prompt of what Qwen says, with the number of tokens before its padding."""
    return Prompt(text, read.embeds, read.tokens.spans, read.tokens.ids, extra={"count": read.mask.sum()})
