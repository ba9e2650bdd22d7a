"""diffusers' UNet2DModel, asked as DDPMPipeline and DDIMPipeline do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from retouch.api.families import Ask, Net, Rows


class PixelUNet(Net):
    """A network that reads pictures and a time, and maybe a class."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        if module.class_embedding is not None:
            module.class_embedding = _ByShare(module.class_embedding.weight)

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """What it says of the noise; what it says of the variance besides, if it does, is left out.  [B, 3, h, w]"""
        told = {"class_labels": _classes(rows)} if rows.embeds.shape[-1] else {}
        said = ask(rows.x, rows.timesteps, **told, return_dict=False)[0]
        return said[:, : rows.x.shape[1]]

    def features(self, block: Any) -> nn.Module:
        """The last convolution of a residual block, before the skip is added."""
        return block.conv2


class _ByShare(nn.Module):
    """A table of embeddings that is read by shares of its rows, [B, classes], so that a prompt can be tuned."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight  # [classes, dim]

    def forward(self, shares: Tensor) -> Tensor:
        return shares @ self.weight


def _classes(rows: Rows) -> Tensor:
    """The class of each row; of a prompt that names none any one, another at each time.  [B, classes]

    Models of all ImageNet are used in that way for pictures of no known class (Avrahami et al. 2022).  The draw depends
    on the time alone, so that a walk up and a walk down, and a source and its edit, see the same.
    """
    chosen = rows.embeds[:, 0]  # [B, classes]
    count = chosen.shape[-1]
    mixed = (rows.timesteps.double() * 1000).long() * 2_654_435_761 % 2**32  # Knuth's multiplicative hash
    drawn = (mixed >> 8) % count  # [B]
    any_one = (torch.arange(count, device=chosen.device) == drawn[:, None]).to(chosen)
    return torch.where(chosen.any(-1, keepdim=True), chosen, any_one)
