"""Low-rank updates beside the layers that they belong to: no weight is made anew, and quantised ones stay so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

LowRank = Mapping[str, tuple[Tensor, Tensor]]
"""parameter name -> (up [out, r], down [r, in]); of a convolution `in` is its channels times its kernel"""


@contextmanager
def beside(module: nn.Module, low_rank: LowRank) -> Iterator[None]:
    """Add the updates to what the layers give, as long as this lasts."""
    layers = dict(module.named_modules()) if low_rank else {}
    handles = [
        layers[name.removesuffix(".weight")].register_forward_hook(_added(up, down))
        for name, (up, down) in low_rank.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _added(up: Tensor, down: Tensor) -> Any:
    def hook(layer: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        x = inputs[0]
        if isinstance(layer, nn.Conv2d):
            inner = F.conv2d(
                x, down.to(x).unflatten(1, (-1, *layer.kernel_size)), None, layer.stride, layer.padding, layer.dilation
            )
            return out + F.conv2d(inner, up.to(x)[:, :, None, None])
        return out + F.linear(F.linear(x, down.to(x)), up.to(x))

    return hook
