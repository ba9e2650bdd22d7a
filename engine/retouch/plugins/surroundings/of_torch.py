"""What torch and numpy keep for the whole process, or for the thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.modules import module as module_hooks
from torch.overrides import (
    _pop_mode as _pop_function_mode,  # pyright: ignore[reportPrivateUsage]
)
from torch.overrides import (
    _push_mode as _push_function_mode,  # pyright: ignore[reportPrivateUsage]
)
from torch.utils import _python_dispatch as dispatch

from retouch.plugins.surroundings.thing import Thing, identical, names

_T: Any = torch
_C: Any = _T._C
# Of torch, what engine and methods work with most; all of a thousand would cost more than an advance.
_TORCH = ("add", "cat", "clamp", "equal", "full_like", "isfinite", "lerp", "no_grad", "ones_like", "rand", "randn")
_TORCH += ("stack", "sub", "tensor", "where", "zeros", "zeros_like")
_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks", "_global_backward_pre_hooks")
_TINY = 1e-310, 1.0  # the first is less than what is kept where denormals are flushed
_left: list[Any] = []  # guards that no one may let go, since their end would bring back what they cover


def _device() -> Any:
    """The mode that stands for a default device; None where nobody has set one."""
    return getattr(_T._GLOBAL_DEVICE_CONTEXT, "device_context", None)


def _set_device(before: Any) -> None:
    torch.set_default_device(None if before is None else before.device)


def _modes() -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The modes that see every call of torch, of both kinds, outermost first."""
    functions, dispatches = _C._len_torch_function_stack(), _C._len_torch_dispatch_stack()
    if not functions and not dispatches:
        return (), ()
    return (
        tuple(_C._get_function_stack_at(i) for i in range(functions)),
        tuple(_C._get_dispatch_stack_at(i) for i in range(dispatches)),
    )


def _set_modes(before: tuple[tuple[Any, ...], tuple[Any, ...]]) -> None:
    while _C._len_torch_function_stack():
        _pop_function_mode()
    while _C._len_torch_dispatch_stack():
        dispatch._pop_mode()  # pyright: ignore[reportPrivateUsage]
    for mode in before[0]:
        _push_function_mode(mode)
    for mode in before[1]:
        dispatch._push_mode(mode)  # pyright: ignore[reportPrivateUsage]


def _same_modes(a: tuple[tuple[Any, ...], ...], b: tuple[tuple[Any, ...], ...]) -> bool:
    return all(map(identical, a, b))


def _autocast() -> tuple[Any, ...]:
    return torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda"), torch.is_autocast_cache_enabled()


def _set_autocast(before: tuple[Any, ...]) -> None:
    torch.set_autocast_enabled("cpu", before[0])
    torch.set_autocast_enabled("cuda", before[1])
    torch.set_autocast_cache_enabled(before[2])


def _set_inference(before: bool) -> None:
    guard = torch.inference_mode(before)  # there is nothing but a guard that sets it
    guard.__enter__()
    _left.append(guard)


def _kernels() -> tuple[bool, ...]:
    """Which kernels torch may choose."""
    cuda, cudnn = _T.backends.cuda, _T.backends.cudnn
    return (
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
        cudnn.enabled,
        cudnn.benchmark,
        cudnn.deterministic,
        _C._get_mkldnn_enabled(),
    )


def _set_kernels(before: tuple[bool, ...]) -> None:
    cuda, cudnn = _T.backends.cuda, _T.backends.cudnn
    cuda.enable_flash_sdp(before[0])
    cuda.enable_mem_efficient_sdp(before[1])
    cuda.enable_math_sdp(before[2])
    cuda.enable_cudnn_sdp(before[3])
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = before[4:7]
    _C._set_mkldnn_enabled(before[7])


def _hooks() -> tuple[dict[Any, Any], ...]:
    """Functions that torch calls at every module there is, whosever it is."""
    return tuple(getattr(module_hooks, name) for name in _HOOKS)


def _set_hooks(before: tuple[dict[Any, Any], ...]) -> None:
    for hooks, kept in zip(_hooks(), before, strict=True):
        hooks.clear()
        hooks.update(kept)


def _saved() -> Any:
    """What is made of the tensors that a backward pass will need."""
    return _C._autograd._top_saved_tensors_default_hooks(True)


def _set_saved(before: Any) -> None:
    while (top := _saved()) is not None and top != before:
        _C._autograd._pop_saved_tensors_default_hooks()


def _set_grad(before: bool) -> None:
    torch.set_grad_enabled(before)


def _set_numpy(before: dict[str, Any]) -> None:
    np.seterr(**before)


# In this order: while a foreign mode stands, no other of them can be read; what ends inference mode keeps gradients.
OF_TORCH: Mapping[str, Thing] = {
    "the default device": Thing(_device, _set_device, lambda a, b: a is b),
    "the modes that see every call of torch": Thing(_modes, _set_modes, _same_modes),
    "the default dtype": Thing(torch.get_default_dtype, torch.set_default_dtype),
    "whether torch is in inference mode": Thing(torch.is_inference_mode_enabled, _set_inference),
    "whether gradients are kept": Thing(torch.is_grad_enabled, _set_grad),
    "whether torch casts by itself": Thing(_autocast, _set_autocast),
    "the state of torch's random numbers; noise comes from a NoiseSource": Thing(
        torch.get_rng_state, torch.set_rng_state, torch.equal
    ),
    "the number of threads": Thing(torch.get_num_threads, torch.set_num_threads),
    "a function of torch": names(torch, only=_TORCH),
    "a function of torch.nn.functional": names(F),
    "a method of torch.Tensor": names(torch.Tensor),
    "what torch calls at every module": Thing(lambda: tuple(map(dict, _hooks())), _set_hooks),
    "what is kept for backward passes": Thing(_saved, _set_saved),
    "whether torch repeats its sums": Thing(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
    ),
    "how torch multiplies": Thing(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "which kernels torch may choose": Thing(_kernels, _set_kernels),
    "whether torch looks for anomalies": Thing(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    "whether the smallest numbers count": Thing(
        lambda: _TINY[0] * _TINY[1] != 0, lambda before: torch.set_flush_denormal(not before)
    ),
    "what numpy makes of errors": Thing(np.geterr, _set_numpy),
}
