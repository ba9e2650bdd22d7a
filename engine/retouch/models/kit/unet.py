"""diffusers' UNet2DConditionModel, asked as Stable Diffusion and its relatives are."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from retouch.models.family import Ask, Net, Rows


class UNet(Net):
    """A network that reads x, a time and a text; `conditions` says what else."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        for name, layer in module.named_modules():
            if name.endswith((".attn1", ".attn2")) and getattr(layer, "upcast_attention", False):
                layer.set_processor(_Upcast())  # pyright: ignore[reportCallIssue]

    def conditions(self, rows: Rows) -> dict[str, Any]:
        """Return what the network is told besides."""
        return {}

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """[B, C, h, w]"""
        conditions = self.conditions(rows)
        return ask(rows.x, rows.timesteps, encoder_hidden_states=rows.embeds, return_dict=False, **conditions)[0]

    def features(self, block: Any) -> nn.Module:
        """The last convolution of a residual block, before the skip is added."""
        return block.conv2


def random_unet(**config: Any) -> Any:
    """Build the module with the weights that training would begin with; config: as unet/config.json has it."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel(**config)


class _Upcast:
    """Attention in float32: half-precision scores of Stable Diffusion 2.1 overflow, and diffusers' kernel lets them."""

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        projected = (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        q, k, v = (rows.unflatten(-1, (attn.heads, -1)).transpose(1, 2).float() for rows in projected)
        out = F.scaled_dot_product_attention(q, k, v).to(hidden_states.dtype)
        return attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2)))
