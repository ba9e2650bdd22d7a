"""diffusers' UNet2DModel, asked as DDPMPipeline and DDIMPipeline do."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from retouch.api.families import Ask, Net, Rows


class PixelUNet(Net):
    """A network that reads pictures and a time."""

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """What it says of the noise; what it says of the variance besides, if it does, is left out.  [B, 3, h, w]"""
        said = ask(rows.x, rows.timesteps, return_dict=False)[0]
        return said[:, : rows.x.shape[1]]

    def features(self, block: Any) -> nn.Module:
        """The last convolution of a residual block, before the skip is added."""
        return block.conv2
