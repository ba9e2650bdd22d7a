"""How much of the pretended device's memory is taken, and that there is no more."""

from __future__ import annotations

import weakref
from collections import Counter

import torch
from torch import Tensor


class LivingMemory:
    """Memory of the device for so many bytes: what lives there counts, and what is one too many is refused."""

    def __init__(self, room: int) -> None:
        self.room, self.taken, self.most = room, 0, 0
        self._held: Counter[int] = Counter()  # tensors that lie in a storage

    def take(self, tensor: Tensor, numbers: Tensor) -> None:
        """Let a tensor of the device lie where these numbers do.  Raises torch.OutOfMemoryError."""
        storage = numbers.untyped_storage()
        place, size = storage._cdata, storage.nbytes()
        if not self._held[place]:
            if self.taken + size > self.room:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes of {self.room}")
            self.taken += size
            self.most = max(self.most, self.taken)
        self._held[place] += 1
        weakref.finalize(tensor, self._let_go, place, size)

    def _let_go(self, place: int, size: int) -> None:
        self._held[place] -= 1
        if not self._held[place]:
            del self._held[place]
            self.taken -= size
