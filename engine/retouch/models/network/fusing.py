"""Put fused group normalisation into a network of diffusers, under the same parameter names."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retouch.models.network.acceleration import Acceleration

_HALVES = (torch.float16, torch.bfloat16)


def can_fuse() -> bool:
    """Whether Triton is installed, as it is with torch for CUDA on Linux."""
    return find_spec("triton") is not None


class FusedGroupNorm(nn.GroupNorm):
    """A group normalisation, with the SiLU after it if there is one; by the fused kernels where they fit."""

    def __init__(self, norm: nn.GroupNorm, silu: bool) -> None:
        super().__init__(norm.num_groups, norm.num_channels, norm.eps, device="meta")
        self.weight, self.bias, self.silu = norm.weight, norm.bias, silu

    def forward(self, input: Tensor) -> Tensor:
        """[rows, C, h, w], in any dtype and memory format, with or without gradients."""
        if _fits(input) and not (torch.is_grad_enabled() and (input.requires_grad or self.weight.requires_grad)):
            from retouch.models.network.fused_norm import group_norm

            return group_norm(input, self.num_groups, self.weight, self.bias, self.eps, silu=self.silu)
        normal = super().forward(input)
        return F.silu(normal) if self.silu else normal


def _fits(x: Tensor) -> bool:
    return x.is_cuda and x.ndim == 4 and x.dtype in _HALVES and x.is_contiguous(memory_format=torch.channels_last)


def prepare(network: nn.Module, acceleration: Acceleration) -> None:
    """Fuse a network's norms, where kernels can be made, and lay its weights out as its acceleration says."""
    if acceleration.fused_norms and _makes_kernels(next(network.parameters()).device):
        fuse_norms(network)
    if acceleration.channels_last:
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (not in torch's types)


@cache
def _makes_kernels(device: torch.device) -> bool:
    """Whether Triton works here: it wants a C compiler, a folder to write to and a card that it knows.

    Told by a norm of a few numbers, since every call of a network would else fail for it.
    """
    if device.type != "cuda":  # where torch's own are taken
        return True
    try:
        from retouch.models.network.fused_norm import group_norm

        x = torch.zeros(1, 32, 2, 2, device=device, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
        group_norm(x, 32, x[0, :, 0, 0], x[0, :, 0, 0], 1e-5, silu=True)
    except torch.OutOfMemoryError:
        raise
    except Exception as why:
        said = (str(why).strip().splitlines() or [""])[0]
        what = f"{type(why).__name__} {said}".strip()
        warnings.warn(
            f"Triton makes no kernels here, so norms are torch's own, which take longer: {what}", stacklevel=2
        )
        return False
    return True


def fuse_norms(network: nn.Module) -> None:
    """Replace every affine GroupNorm, and take the SiLU behind it along where a block of diffusers has one there."""
    from diffusers.models.resnet import ResnetBlock2D

    blocks: list[Any] = list(network.modules())
    for block in blocks:
        if isinstance(block, ResnetBlock2D) and _plain(block):
            block.norm1, block.norm2 = FusedGroupNorm(block.norm1, silu=True), FusedGroupNorm(block.norm2, silu=True)
            block.nonlinearity = nn.Identity()
            if block.time_emb_proj is not None:  # the block's SiLU was the time embedding's, too
                block.time_emb_proj.register_forward_pre_hook(lambda _, given: (F.silu(given[0]), *given[1:]))
        elif isinstance(getattr(block, "conv_act", None), nn.SiLU) and _is_norm(getattr(block, "conv_norm_out", None)):
            last: Any = block.conv_norm_out
            block.conv_norm_out, block.conv_act = FusedGroupNorm(last, silu=True), nn.Identity()
    for block in blocks:
        children: list[tuple[str, Any]] = list(block.named_children())
        for name, child in children:
            if _is_norm(child) and not isinstance(child, FusedGroupNorm):
                setattr(block, name, FusedGroupNorm(child, silu=False))


def _plain(block: Any) -> bool:
    silu = isinstance(block.nonlinearity, nn.SiLU) and block.time_embedding_norm == "default"
    return silu and not block.skip_time_act and _is_norm(block.norm1) and _is_norm(block.norm2)


def _is_norm(module: object) -> bool:
    return isinstance(module, nn.GroupNorm) and module.affine
