"""Tensors that say they are on a GPU, and hold the CPU's numbers.

    with pretended() as device:
        world = tiny_world(device=device.name)
        ...
    assert not device.waits

Operations that would mix host and device raise what CUDA raises; where the host would wait for the device, that is
noted with the place in the code.  Kernels, their rounding and their speed are the CPU's.
"""

# What it takes apart are names that torch does not tell its types of.
# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false, reportPrivateImportUsage=false

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.thread import _WorkItem as Work
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from retouch.testing.pretend.cuda import answering
from retouch.testing.pretend.memory import LivingMemory
from retouch.testing.pretend.nested import flat, mapped
from retouch.testing.pretend.noting import PretendedDevice, devices, note, waited
from retouch.testing.pretend.rules import mixed, reads, takes_host_indices, takes_host_scalars, unordered

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")


class _State(threading.local):
    composite = 0  # whether torch is making one operation on the device's tensors of others just now


_state = _State()


class OnDevice(Tensor):
    """A tensor of the pretended device."""

    numbers: Tensor  # of the CPU, of the same shape

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
        return called(func, args, kwargs or {})

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


class _Factories(TorchDispatchMode):
    """Tensors that torch itself makes, on the way, for an operation of the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return perform(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """Whatever is called with a device's name."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return called(func, args, kwargs or {})


@contextmanager
def pretended(index: int = 0, room: int | None = None) -> Iterator[PretendedDevice]:
    """Let "cuda" name the pretended device, in this thread and those of pools, as long as this lasts.

    index: its number among several GPUs.  room: bytes of its memory; without, it has no end.
    """
    device, plain = PretendedDevice(index=index, memory=None if room is None else LivingMemory(room)), Work.run

    def there(work: Any) -> None:
        with _Calls(), _Factories():
            plain(work)

    devices.append(device)
    Work.run = there
    try:
        with answering(device), _Calls(), _Factories():
            yield device
    finally:
        Work.run = plain
        devices.pop()


def _place_of(x: Tensor) -> torch.device:
    """Where a tensor says that it is."""
    if not isinstance(x, OnDevice):
        return Tensor.device.__get__(x)
    return torch.device("cuda", devices[-1].index) if devices else GPU


def _bare(value: Tensor) -> Tensor:
    return value.numbers if isinstance(value, OnDevice) else value


def _dressed(value: Tensor) -> Tensor:
    return value if isinstance(value, OnDevice) else OnDevice(value)


def perform(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """One operation below autograd: on what the tensors hold, if a GPU would do it."""
    name = func._schema.name.partition("::")[2]
    given = [*flat(args), *flat(kwargs.values())]
    there = [each for each in given if isinstance(each, OnDevice)]
    if not there:
        made = func(*args, **kwargs)
        fresh = not given and _state.composite and isinstance(made, Tensor)
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
    bare, named = mapped(args, _bare), mapped(kwargs, _bare)
    made = func(*bare, **named)
    if func._schema.is_mutable:
        return _recorded(func, bare, named, made, _written(made, there, func, args, kwargs))
    return _recorded(func, bare, named, made, mapped(made, _dressed))


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
    outside = {id(_bare(each)): each for each in there}
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
        source = _as_captured(source)
    elif isinstance(source, OnDevice) and not isinstance(into, OnDevice):
        waited("a copy to the host")
    func(_bare(into), _bare(source), *args[2:], **kwargs)
    return _recorded(func, (_bare(into), _bare(source), *args[2:]), kwargs, _bare(into), into)


def _as_captured(host: Tensor) -> Tensor:
    """What a copy out of the host's memory brings: of one that was captured, what lies there when it is replayed.

    By then that memory is others', as whoever gives a graph numbers keeps them on the device.
    """
    if not (devices and devices[-1].capturing):
        return host
    return torch.full_like(host, float("nan") if host.is_floating_point() else 0)


# What is asked of tensors by name ----------------------------------------------------------------------------------


def is_pinned(host: Tensor) -> bool:
    """Whether a tensor of the host is one that `pin_memory` gave."""
    return getattr(host, "_pretended_pinned", False)


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
    numbers = _bare(x).clone(memory_format=torch.preserve_format)
    return OnDevice(_as_captured(numbers)) if there else numbers


def _sent(x: Tensor, device: torch.device | None, *, beside: bool = False) -> Tensor:
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


def _to(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
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
    moved = _sent(x, device, beside=beside) if not isinstance(x, OnDevice) or device is not None else x
    more: dict[str, Any] = {"memory_format": layout} if layout is not None else {}
    if moved is not x:
        return Tensor.to(moved, dtype or moved.dtype, **more)
    return Tensor.to(x, dtype or x.dtype, copy=copy, **more)


def _take_data(args: Sequence[Any], kwargs: Any) -> None:
    """What modules do to their weights where they change precision."""
    x, given = args
    Tensor.data.__set__(x, given)
    if isinstance(x, OnDevice) and isinstance(given, OnDevice):
        x.numbers = given.numbers


def _numpy(args: Sequence[Any], kwargs: Any) -> Any:
    if isinstance(args[0], OnDevice):
        raise TypeError("can't convert cuda:0 device type tensor to numpy; ask `await on_host(…)` for it first")
    return Tensor.numpy(*args, **kwargs)


def _tolist(args: Sequence[Any], kwargs: Any) -> Any:
    if isinstance(args[0], OnDevice):
        waited("tolist gives the host what only the device knows")
    return _bare(args[0].detach()).tolist() if isinstance(args[0], OnDevice) else Tensor.tolist(args[0])


def _pinned_copy(args: Sequence[Any], kwargs: Any) -> Tensor:
    if isinstance(args[0], OnDevice):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
    made = args[0].detach().clone()
    made._pretended_pinned = True
    return made


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
                else _sent(data, device).to(named.get("dtype") or data.dtype)
            )
        plain = func(*args, **named)
        return _sent(plain, device)

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
    Tensor.data.__set__: _take_data,
    Tensor.is_cuda.__get__: lambda args, _: isinstance(args[0], OnDevice),
    Tensor.is_cpu.__get__: lambda args, _: not isinstance(args[0], OnDevice),
    Tensor.get_device: lambda args, _: _place_of(args[0]).index if isinstance(args[0], OnDevice) else -1,
    Tensor.to: _to,
    Tensor.cpu: lambda args, kwargs: _sent(args[0], CPU),
    Tensor.cuda: lambda args, kwargs: _sent(args[0], GPU, beside=bool(kwargs.get("non_blocking"))),
    Tensor.type_as: lambda args, _: _to(args, {}),
    Tensor.numpy: _numpy,
    Tensor.__array__: _numpy,
    Tensor.tolist: _tolist,
    Tensor.pin_memory: _pinned_copy,
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
        before, _state.composite = _state.composite, int(there)
        try:
            return func(*args, **kwargs)
        finally:
            _state.composite = before


def _made_at(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], own: bool) -> Any:
    """A new tensor on a device that is named."""
    named = dict(kwargs)
    device = torch.device(named.pop("device"))
    if device.type == "meta":
        return func(*args, device=device, **named)
    there = device.type == "cuda"
    if (drawn := named.get("generator")) is not None and drawn.device.type != device.type:
        raise RuntimeError(f"Expected a '{device.type}' device type for generator but found '{drawn.device.type}'")
    before, _state.composite = _state.composite, int(there)
    try:
        if func in _LIKE and own and not there:  # of the host, like one of the device
            return func(mapped(args[0], _bare), *args[1:], device=device, **named)
        made = func(*args, device=CPU, **named)
    finally:
        _state.composite = before
    return mapped(made, _dressed) if there else made
