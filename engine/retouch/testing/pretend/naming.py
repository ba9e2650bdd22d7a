"""Functions of torch, as they are called in Python with the pretended device or its tensors."""

# What it takes apart are names that torch does not tell its types of.
# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from retouch.testing.pretend.moving import CPU, GPU, numpy, pinned_copy, sent, take_data, to, tolist
from retouch.testing.pretend.nested import flat, mapped
from retouch.testing.pretend.noting import devices
from retouch.testing.pretend.tensors import OnDevice, bare, dressed, is_pinned, making


def _place_of(x: Tensor) -> torch.device:
    """Where a tensor says that it is."""
    if not isinstance(x, OnDevice):
        return Tensor.device.__get__(x)
    return torch.device("cuda", devices[-1].index) if devices else GPU


def _data_of_numbers(func: Any) -> Callable[[Sequence[Any], Mapping[str, Any]], Tensor]:
    """torch.tensor and its like: numbers of the host, copied to the device while it waits."""

    def made(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        named = dict(kwargs)
        asked = named.pop("device", None)
        data = args[0] if args else named.get("data")
        own = isinstance(data, OnDevice)
        device = torch.device(asked) if asked is not None else GPU if own else CPU
        if own:
            return (
                Tensor.to(data, named.get("dtype") or data.dtype, copy=func is torch.tensor)
                if device.type == "cuda"
                else sent(data, device).to(named.get("dtype") or data.dtype)
            )
        plain = func(*args, **named)
        return sent(plain, device)

    return made


def _new_tensor(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    own, data, *rest = args
    named = {"dtype": own.dtype, "device": GPU if isinstance(own, OnDevice) else CPU, **kwargs}
    return called(torch.tensor, (data, *rest), named)


_MAKES = {
    torch.tensor: _data_of_numbers(torch.tensor),
    torch.as_tensor: _data_of_numbers(torch.as_tensor),
    torch.asarray: _data_of_numbers(torch.asarray),
}
_NAMED: dict[Any, Callable[[Sequence[Any], Mapping[str, Any]], Any]] = {
    Tensor.device.__get__: lambda args, _: _place_of(args[0]),
    Tensor.data.__set__: take_data,
    Tensor.is_cuda.__get__: lambda args, _: isinstance(args[0], OnDevice),
    Tensor.is_cpu.__get__: lambda args, _: not isinstance(args[0], OnDevice),
    Tensor.get_device: lambda args, _: _place_of(args[0]).index if isinstance(args[0], OnDevice) else -1,
    Tensor.to: to,
    Tensor.cpu: lambda args, kwargs: sent(args[0], CPU),
    Tensor.cuda: lambda args, kwargs: sent(args[0], GPU, beside=bool(kwargs.get("non_blocking"))),
    Tensor.type_as: lambda args, _: to(args, {}),
    Tensor.numpy: numpy,
    Tensor.__array__: numpy,
    Tensor.tolist: tolist,
    Tensor.pin_memory: pinned_copy,
    Tensor.is_pinned: lambda args, _: is_pinned(args[0]),
    Tensor.new_tensor: _new_tensor,
    torch._has_compatible_shallow_copy_type: lambda args, _: type(args[0]) is type(args[1]),
    **_MAKES,
}  # fmt: skip
_GETTERS = {Tensor.shape.__get__, Tensor.dtype.__get__, Tensor.requires_grad.__get__, Tensor.ndim.__get__}
_LIKE = {
    torch.zeros_like,
    torch.ones_like,
    torch.empty_like,
    torch.full_like,
    torch.rand_like,
    torch.randn_like,
    Tensor.new_zeros,
    Tensor.new_ones,
    Tensor.new_empty,
    Tensor.new_full,
}


def called(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """One function of torch, as it is called in Python."""
    with torch._C.DisableTorchFunctionSubclass():
        if func in _GETTERS:
            return func(*args, **kwargs)
        if (known := _NAMED.get(func)) is not None:
            return known(args, kwargs)
        given = [*flat(args), *flat(kwargs.values())]
        there = any(isinstance(each, OnDevice) for each in given)
        if kwargs.get("device") is not None:
            return _made_at(func, args, kwargs, there)
        before, making.composite = making.composite, int(there)
        try:
            return func(*args, **kwargs)
        finally:
            making.composite = before


def _made_at(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], own: bool) -> Any:
    """A new tensor on a device that is named."""
    named = dict(kwargs)
    device = torch.device(named.pop("device"))
    if device.type == "meta":
        return func(*args, device=device, **named)
    there = device.type == "cuda"
    if (drawn := named.get("generator")) is not None and drawn.device.type != device.type:
        raise RuntimeError(f"Expected a '{device.type}' device type for generator but found '{drawn.device.type}'")
    before, making.composite = making.composite, int(there)
    try:
        if func in _LIKE and own and not there:  # of the host, like one of the device
            return func(mapped(args[0], bare), *args[1:], device=device, **named)
        made = func(*args, device=CPU, **named)
    finally:
        making.composite = before
    return mapped(made, dressed) if there else made


OnDevice.called = staticmethod(called)
