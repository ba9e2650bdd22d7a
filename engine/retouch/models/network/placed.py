"""A network told which part of a picture it sees.  Zhang et al. 2023 (SINE), arXiv:2212.04489, sec. 3.3."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from retouch.core.tuning import Patch

FIRST = "conv_in"  # whose features lie as the latents do
WHOLE = Patch()


@contextmanager
def placed(module: nn.Module, place: Patch | None, known: dict[Hashable, Tensor]) -> Iterator[None]:
    """Add the waves of a place to what the first layer gives, as long as this lasts.

    known: the waves of whole pictures, for each size; they are made once, and lie where a captured pass may read them.
    """
    if place is None:
        yield
        return

    def hook(layer: Any, inputs: Any, out: Tensor) -> Tensor:
        if place != WHOLE:  # drawn for this pass, and for no other
            return out + place.waves(out)
        size = out.shape[-3:], out.dtype
        if size not in known:
            known[size] = place.waves(out)
        return out + known[size]

    handle = module.get_submodule(FIRST).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
