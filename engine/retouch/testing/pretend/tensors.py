"""Tensors that say they are on a GPU and hold the CPU's numbers, and torch's operations on them below autograd."""

# What it takes apart are names that torch does not tell its types of.
# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false, reportPrivateImportUsage=false

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch

from retouch.testing.pretend.nested import flat, mapped
from retouch.testing.pretend.noting import devices, note, waited
from retouch.testing.pretend.rules import mixed, reads, takes_host_indices, takes_host_scalars, unordered


class _Making(threading.local):
    composite = 0  # whether torch is making one operation on the device's tensors of others just now


making = _Making()


class OnDevice(Tensor):
    """A tensor of the pretended device."""

    numbers: Tensor  # of the CPU, of the same shape
    called: ClassVar[Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]]  # by name: `naming` says what that is

    @staticmethod
    def __new__(cls, numbers: Tensor) -> OnDevice:
        made = Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            layout=numbers.layout,
            device=numbers.device,
            requires_grad=False,
        )
        if devices and (memory := devices[-1].memory):
            memory.take(made, numbers)
        made.numbers = numbers
        return made

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return cls.called(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return perform(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents=None):
        return f"OnDevice({self.numbers!r})"

    def __deepcopy__(self, memo):
        with torch._C.DisableTorchFunctionSubclass():
            made = torch.clone(self.detach()).requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            made = torch.nn.Parameter(made.detach(), self.requires_grad)
        memo[id(self)] = made
        return made


def bare(value: Tensor) -> Tensor:
    """What a tensor holds, of the CPU."""
    return value.numbers if isinstance(value, OnDevice) else value


def dressed(value: Tensor) -> Tensor:
    """The tensor of the device that holds this."""
    return value if isinstance(value, OnDevice) else OnDevice(value)


def perform(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """One operation below autograd: on what the tensors hold, if a GPU would do it."""
    name = func._schema.name.partition("::")[2]
    given = [*flat(args), *flat(kwargs.values())]
    there = [each for each in given if isinstance(each, OnDevice)]
    if not there:
        made = func(*args, **kwargs)
        fresh = not given and making.composite and isinstance(made, Tensor)
        return _recorded(func, args, kwargs, made, OnDevice(made)) if fresh else made
    here = [each for each in given if not isinstance(each, OnDevice)]
    if name == "copy_":
        return _copied(func, args, kwargs)
    if here:
        _refuse_mixture(func, name, args, here, there)
    if (why := reads(name, args, kwargs)) is not None:
        waited(why)
    if unordered(func, name, args):
        note("unordered", name)
    if (drawn := kwargs.get("generator")) is not None and drawn.device.type == "cpu":
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    kwargs = {key: value for key, value in kwargs.items() if key != "device"}
    plain, named = mapped(args, bare), mapped(kwargs, bare)
    made = func(*plain, **named)
    if func._schema.is_mutable:
        return _recorded(func, plain, named, made, _written(made, there, func, args, kwargs))
    return _recorded(func, plain, named, made, mapped(made, dressed))


def _recorded(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: Any, dressed: Any) -> Any:
    """What is given to whoever asked; a graph that is captured just now takes it down."""
    if devices and (graph := devices[-1].capturing):
        graph.record(func, args, kwargs, made, dressed)
    return dressed


def _written(made: Any, there: Sequence[Tensor], func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What was written into is who it was; where only its shape is another, that becomes known outside, too."""
    if torch.Tag.inplace_view in func.tags:
        with no_dispatch():
            func(*args, **kwargs)
    outside = {id(bare(each)): each for each in there}
    return mapped(made, lambda value: outside[id(value)] if id(value) in outside else OnDevice(value))


def _refuse_mixture(func: Any, name: str, args: Sequence[Any], here: Sequence[Tensor], there: Sequence[Tensor]) -> None:
    if takes_host_indices(name) and isinstance(args[0], OnDevice):
        indices = [each for each in args[1] if isinstance(each, Tensor) and not isinstance(each, OnDevice)]
        if indices:
            waited("an index of the host is copied to the device")
        here = [each for each in here if not any(each is index for index in indices)]
    written = func._schema.is_mutable and isinstance(args[0], Tensor) and not isinstance(args[0], OnDevice)
    for each in here:
        if written or each.ndim or not takes_host_scalars(func, name):
            raise mixed(name, each, there[0])


def _copied(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Between host and device, or within the device."""
    into, source = args[0], args[1]
    beside = bool(args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
    if isinstance(into, OnDevice) and not isinstance(source, OnDevice):
        if not (beside and is_pinned(source)):
            waited("a copy to the device out of memory that is not pinned")
        source = as_captured(source)
    elif isinstance(source, OnDevice) and not isinstance(into, OnDevice):
        waited("a copy to the host")
    func(bare(into), bare(source), *args[2:], **kwargs)
    return _recorded(func, (bare(into), bare(source), *args[2:]), kwargs, bare(into), into)


def as_captured(host: Tensor) -> Tensor:
    """What a copy out of the host's memory brings: of one that was captured, what lies there when it is replayed.

    By then that memory is others', as whoever gives a graph numbers keeps them on the device.
    """
    if not (devices and devices[-1].capturing):
        return host
    return torch.full_like(host, float("nan") if host.is_floating_point() else 0)


def is_pinned(host: Tensor) -> bool:
    """Whether a tensor of the host is one that `pin_memory` gave."""
    return getattr(host, "_pretended_pinned", False)
