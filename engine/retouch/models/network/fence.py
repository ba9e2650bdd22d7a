"""What one function of a control may see and write at a site: what its touch names, and nothing else.

Other tensors are not there; other rows are compared with what they were.  On a GPU the comparison is asked of
the device and read when the stage has ended, so that no pass waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from retouch.core.attention import Act
from retouch.core.declared.touches import Touch
from retouch.core.errors import BrokenTouch
from retouch.core.values import Role

_READABLE = {"out": frozenset({"v"})}  # beside what the touch names


class Fence:
    """The tensors of one call, and what may become of them.  given: what the function gets."""

    def __init__(self, touch: Touch, act: Act, roles: Sequence[Role], tensors: Mapping[str, Any]) -> None:
        self._touch, self._module = touch, getattr(act, "__module__", "") or ""
        writes = touch.access != "read"
        fixed = [i for i, role in enumerate(roles) if not (writes and touch.rows in ("*", role[-1]))]
        named = {touch.what} if touch.what in tensors else set(touch.what) & tensors.keys()
        self.given: dict[str, Any] = {}
        self._rows: list[tuple[str, Tensor, Tensor, int]] = []  # name, tensor, its fixed rows before, its version
        self._read: list[tuple[str, Tensor, int]] = []
        self._fixed = fixed
        for name, tensor in tensors.items():
            if name in named and name == "probs":
                self.given[name] = _FencedMaps(tensor, self, frozenset(fixed))
            elif name in named:
                self.given[name] = tensor
                if fixed:
                    self._rows.append((name, tensor, self._now(tensor), tensor._version))
            elif name in _READABLE.get(touch.what, ()):
                self.given[name] = tensor
                self._read.append((name, tensor, tensor._version))

    def _now(self, tensor: Tensor) -> Tensor:
        with torch.no_grad():
            # By a list as an index the host would wait for its copy.
            return torch.stack([tensor.detach()[i] for i in self._fixed])

    def broken(self, what: str) -> BrokenTouch:
        """What to raise where the function goes beyond its touch."""
        return BrokenTouch(f"{what}: {self._touch}", self._module)

    def questions(self) -> Iterator[tuple[tuple[str, str], Tensor]]:
        """Raise BrokenTouch for what is known at once, and give what the device has to be asked."""
        for name, tensor, version in self._read:
            if tensor._version != version:
                raise self.broken(f"writes '{name}', which its touch lets it read")
        maps = self.given.get("probs")
        if isinstance(maps, _FencedMaps) and maps.written_to:
            raise self.broken("writes into a map that it has read; it has to write probs[row] = …")
        for name, tensor, before, version in self._rows:
            if tensor._version == version:
                continue
            now, what = self._now(tensor), f"writes '{name}' in rows that its touch does not name"
            if now.device.type != "cpu":
                yield (str(self.broken(what)), self._module), _same(now, before)
            elif not torch.equal(now, before) and not _same(now, before):
                raise self.broken(what)


def _same(one: Tensor, other: Tensor) -> Tensor:
    """Whether [] both hold the same numbers, those that are none included."""
    return torch.isclose(one, other, rtol=0, atol=0, equal_nan=True).all()


class _FencedMaps:
    """Attention maps by row, of which some may only be read."""

    def __init__(self, maps: Any, fence: Fence, fixed: frozenset[int]) -> None:
        self._maps, self._fence, self._fixed = maps, fence, fixed
        self._seen: dict[int, tuple[Tensor, int]] = {}

    @property
    def written_to(self) -> bool:
        """Whether a map that was read has been written into."""
        return any(seen._version != version for seen, version in self._seen.values())

    def __getitem__(self, row: int) -> Tensor:
        found = self._maps[row]
        self._seen[row] = self._seen.get(row, (found, found._version))
        return found

    def __setitem__(self, row: int, value: Tensor) -> None:
        if row in self._fixed:
            raise self._fence.broken("writes maps of rows that its touch does not name")
        if not isinstance(value, Tensor):
            raise self._fence.broken(f"writes a {type(value).__name__} where a map goes")
        # Of a row that nobody has read, the map is not made for this; other rows' are as large, but for their words.
        known = self._seen.get(row) or next(iter(self._seen.values()), None)
        least = -1 if row not in self._seen else None
        if known is not None and value.shape[:least] != known[0].shape[:least]:
            raise self._fence.broken(f"writes a map {list(value.shape)} where one is {list(known[0].shape)}")
        self._maps[row] = value
