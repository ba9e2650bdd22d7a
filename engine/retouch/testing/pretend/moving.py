"""From the host to the pretended device and back, and what the host asks of the device's tensors."""

# What it takes apart are names that torch does not tell its types of.
# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from retouch.testing.pretend.noting import waited
from retouch.testing.pretend.tensors import OnDevice, as_captured, bare, is_pinned

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")


class _Sent(torch.autograd.Function):
    """From host to device, or back; gradients go the other way."""

    @staticmethod
    def forward(ctx, x, there):
        ctx.back = isinstance(x, OnDevice)
        return _moved(x.detach(), there)

    @staticmethod
    def backward(ctx, grad):
        with torch._C.DisableTorchFunctionSubclass():
            waited("a gradient goes to another device")
            return _moved(grad, ctx.back), None


def _moved(x: Tensor, there: bool) -> Tensor:
    numbers = bare(x).clone(memory_format=torch.preserve_format)
    return OnDevice(as_captured(numbers)) if there else numbers


def sent(x: Tensor, device: torch.device | None, *, beside: bool = False) -> Tensor:
    """The tensor on a device, a copy where it has to be one."""
    if device is None or (device.type == "cuda") == isinstance(x, OnDevice):
        return x
    if device.type not in ("cuda", "cpu"):
        raise RuntimeError(f"the pretended device knows no '{device}'")
    there = device.type == "cuda"
    if not there:
        waited("a copy to the host")
    elif not (beside and is_pinned(x)):
        waited("a copy to the device out of memory that is not pinned")
    if torch.is_grad_enabled() and x.requires_grad:
        return _Sent.apply(x, there)
    return _moved(x.detach(), there)


def to(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """`Tensor.to`, by all that it takes."""
    x, *rest = args
    other = rest[0] if rest and isinstance(rest[0], Tensor) else kwargs.get("other")
    if other is not None:
        beside = bool(rest[1] if len(rest) > 1 else kwargs.get("non_blocking", False))
        device, dtype = (GPU if isinstance(other, OnDevice) else CPU), other.dtype
        copy, layout = bool(kwargs.get("copy", False)), None
    else:
        names = {"copy": False, **kwargs}
        copy = bool(names.pop("copy"))
        if len(rest) > 3 or (len(rest) == 3 and not isinstance(rest[1], torch.dtype)):
            copy, rest = bool(rest[-1]), rest[:-1]
        device, dtype, beside, layout = torch._C._nn._parse_to(*rest, **names)
    moved = sent(x, device, beside=beside) if not isinstance(x, OnDevice) or device is not None else x
    more: dict[str, Any] = {"memory_format": layout} if layout is not None else {}
    if moved is not x:
        return Tensor.to(moved, dtype or moved.dtype, **more)
    return Tensor.to(x, dtype or x.dtype, copy=copy, **more)


def take_data(args: Sequence[Any], kwargs: Any) -> None:
    """What modules do to their weights where they change precision."""
    x, given = args
    Tensor.data.__set__(x, given)
    if isinstance(x, OnDevice) and isinstance(given, OnDevice):
        x.numbers = given.numbers


def numpy(args: Sequence[Any], kwargs: Any) -> Any:
    """`Tensor.numpy`, which the device's tensors do not have."""
    if isinstance(args[0], OnDevice):
        raise TypeError("can't convert cuda:0 device type tensor to numpy; ask `await on_host(…)` for it first")
    return Tensor.numpy(*args, **kwargs)


def tolist(args: Sequence[Any], kwargs: Any) -> Any:
    """`Tensor.tolist`, for which the host waits."""
    if isinstance(args[0], OnDevice):
        waited("tolist gives the host what only the device knows")
    return bare(args[0].detach()).tolist() if isinstance(args[0], OnDevice) else Tensor.tolist(args[0])


def pinned_copy(args: Sequence[Any], kwargs: Any) -> Tensor:
    """`Tensor.pin_memory`: the copy is known as pinned."""
    if isinstance(args[0], OnDevice):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
    made = args[0].detach().clone()
    made._pretended_pinned = True
    return made
