"""The least time a network could take: its operations counted without weights or a device.

Each matrix product, convolution and attention takes the longer of its arithmetic at the ceiling and its least bytes at
the bandwidth; everything pointwise is taken to be fused into them, and attention never to write its maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from retouch_bench.speed.ceilings import Ceilings


@dataclass(frozen=True, slots=True)
class Operation:
    """One product, convolution or attention: FLOPs and bytes of a row, and bytes that all rows share (weights)."""

    flops: int
    row_bytes: int
    shared_bytes: int

    def seconds(self, rows: int, most: Ceilings) -> float:
        moved = self.row_bytes * rows + self.shared_bytes
        return max(self.flops * rows / most.flops, moved / most.bandwidth)


@dataclass(frozen=True, slots=True)
class CountedWork:
    """All operations of one forward pass."""

    operations: tuple[Operation, ...]

    @property
    def flops(self) -> int:
        """Of one row."""
        return sum(each.flops for each in self.operations)

    def bytes(self, rows: int) -> int:
        """Moved at least, in one pass of so many rows."""
        return sum(each.row_bytes * rows + each.shared_bytes for each in self.operations)

    def seconds(self, rows: int, most: Ceilings) -> float:
        """The floor of one pass of so many rows."""
        return sum(each.seconds(rows, most) for each in self.operations)


def work_of(forward: Callable[[int], object]) -> CountedWork:
    """Count a network on the meta device.  forward: runs it on so many rows; what does not grow with them is shared."""
    with torch.no_grad():
        one, two = (_counted(forward, rows) for rows in (1, 2))
    pairs = zip(one, two, strict=True)
    return CountedWork(
        tuple(Operation(f1, moved2 - moved1, 2 * moved1 - moved2) for (f1, moved1), (_, moved2) in pairs)
    )


def _counted(forward: Callable[[int], object], rows: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    with _Attention(found), _Products(found):
        forward(rows)
    return found


def _size(values: Iterable[Any]) -> int:
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, Tensor))


class _Products(TorchDispatchMode):
    """Notes FLOPs and bytes of whatever torch knows to be arithmetic."""

    def __init__(self, found: list[tuple[int, int]]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        out = func(*args, **given)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            moved = _size(tree_leaves((args, given))) + _size(tree_leaves(out))
            self.found.append((count(*args, **given, out_val=out), moved))
        return out


class _Attention(TorchFunctionMode):
    """Notes attention as one operation, which torch would take apart on the meta device."""

    def __init__(self, found: list[tuple[int, int]]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **given)
        query, key, value = (args[i] if i < len(args) else given[name] for i, name in enumerate(_NAMES))
        out = query.new_empty((*query.shape[:-1], value.shape[-1]))
        flops = 2 * query.numel() * key.shape[-2] + 2 * out.numel() * key.shape[-2]
        self.found.append((flops, _size((query, key, value, out))))
        return out


_NAMES = ("query", "key", "value")
