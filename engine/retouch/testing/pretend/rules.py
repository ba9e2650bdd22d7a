"""What a GPU does with an operation: whether the host waits for it, and whether its sums have a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_READ = frozenset({
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique", "_unique2", "unique_consecutive",
    "unique_dim", "unique_dim_consecutive", "bincount", "multinomial", "argwhere", "is_nonzero",
    "_linalg_check_errors", "_linalg_svd", "linalg_lstsq", "linalg_eig", "_linalg_eigh", "linalg_eigvals",
    "repeat_interleave", "combinations", "histogram",
})  # fmt: skip
"""Operations whose result, or its size, the host has to know before it goes on."""

_WRITTEN: dict[str, str] = dict.fromkeys(
    ("_local_scalar_dense", "is_nonzero"), "float(…), item() or a condition"
)  # by authors

_ORDERED_ON_DEMAND = frozenset({
    "index_add", "index_add_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_",
    "replication_pad1d_backward", "replication_pad2d_backward", "replication_pad3d_backward",
    "max_pool3d_with_indices_backward",
    "_scaled_dot_product_flash_attention_for_cpu_backward",  # which of CUDA's kernels it stands for adds up likewise
})  # fmt: skip
"""Operations whose sums CUDA adds up in the order in which threads come, unless it is told otherwise."""

_NEVER_ORDERED = frozenset({
    "histc", "put", "put_", "grid_sampler_2d_backward", "grid_sampler_3d_backward",
    "upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward",
    "upsample_trilinear3d_backward", "_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward",
    "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward",
    "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "adaptive_max_pool2d_backward",
    "avg_pool3d_backward", "fractional_max_pool2d_backward", "fractional_max_pool3d_backward",
    "max_unpool2d", "max_unpool3d", "nll_loss2d_forward", "_ctc_loss_backward", "cumsum",
})  # fmt: skip
"""Operations that CUDA refuses where it is told that sums have a fixed order: it knows none for them."""

_WITH_INDICES = frozenset({"median", "nanmedian"})  # refused where they tell where they found it

_INDEXES = frozenset({"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"})


def reads(name: str, args: Sequence[Any], kwargs: Any) -> str | None:
    """Why the host would wait for this operation on tensors of the device; None where it would not."""
    if name == "repeat_interleave" and (kwargs.get("output_size") is not None or not isinstance(args[-1], Tensor)):
        return None
    if name in _READ:
        return f"{_WRITTEN.get(name, name)} gives the host what only the device knows"
    if name not in _INDEXES:
        return None
    if not any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]):
        return None
    # One number for all that is marked: torch fills, and needs not know how many there are.
    filled = name in ("index_put_", "_index_put_impl_", "index_put") and args[2].numel() == 1
    return None if filled and not (len(args) > 3 and args[3]) else "marks as an index have to be counted"


def unordered(func: Any, name: str, args: Sequence[Any]) -> bool:
    """Whether the sums of this operation have no fixed order on CUDA, as things are set.

    Raises RuntimeError, as torch does, where they would have none and it is told that they must.
    """
    if not any(isinstance(each, Tensor) and each.is_floating_point() for each in args):
        return False
    told = torch.are_deterministic_algorithms_enabled()
    if name in _NEVER_ORDERED or (name in _WITH_INDICES and func._overloadname == "dim"):
        if told and not torch.is_deterministic_algorithms_warn_only_enabled():
            raise RuntimeError(
                f"{name} does not have a deterministic implementation, but you set "
                "'torch.use_deterministic_algorithms(True)'."
            )
        return name != "cumsum" or args[0].ndim == 1  # several rows are added up by a thread each
    adds_up = name in _INDEXES and len(args) > 3 and bool(args[3])
    return not told and (adds_up or name in _ORDERED_ON_DEMAND)


def takes_host_indices(name: str) -> bool:
    """Whether an index may lie on the host, from where it is copied while the host waits."""
    return name in _INDEXES


def takes_host_scalars(func: Any, name: str) -> bool:
    """Whether a number of the host, a tensor without axes, may stand beside tensors of the device."""
    return (
        torch.Tag.pointwise in func.tags
        or name in ("fill_", "masked_fill", "masked_fill_", "copy_")
        or name in _INDEXES
    )


def mixed(name: str, host: Tensor, device: Tensor) -> RuntimeError:
    """What CUDA says of tensors that are not on one device."""
    return RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
        f"({name} of {list(device.shape)} on the device and {list(host.shape)} on the host)"
    )
