"""Updates beside the layers that they belong to: no weight is made anew, and quantised ones stay so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from retouch.core.tuning import LowRank, Update


@contextmanager
def beside(module: nn.Module, updates: Mapping[str, Sequence[Update]]) -> Iterator[None]:
    """Add the updates to what the layers give, as long as this lasts.  updates: by the name of the layer's weight."""
    layers = dict(module.named_modules()) if updates else {}
    handles = [
        layers[name.removesuffix(".weight")].register_forward_hook(_added(each)) for name, each in updates.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _added(updates: Sequence[Update]) -> Any:
    def hook(layer: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        for update in updates:
            out = out + _answer(layer, inputs[0], update)
        return out

    return hook


def _answer(layer: Any, x: Tensor, update: Update) -> Tensor:
    """What the layer would give if the update were all of its weight."""
    convolves = isinstance(layer, nn.Conv2d)
    if isinstance(update, LowRank):
        up, down = update.up.to(x), update.down.to(x)
        if not convolves:
            return F.linear(F.linear(x, down), up)
        return F.conv2d(_convolved(layer, x, down.unflatten(1, (-1, *layer.kernel_size))), up[:, :, None, None])
    weight = update.dense(layer.weight.shape).to(x)
    return _convolved(layer, x, weight) if convolves else F.linear(x, weight)


def _convolved(layer: nn.Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)
