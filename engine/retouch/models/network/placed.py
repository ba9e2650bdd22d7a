"""A network told which part of a picture it sees.  Zhang et al. 2023 (SINE), arXiv:2212.04489, sec. 3.3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from retouch.core.tuning import Patch

FIRST = "conv_in"  # whose features lie as the latents do


@contextmanager
def placed(module: nn.Module, place: Patch | None) -> Iterator[None]:
    """Add the waves of a place to what the first layer gives, as long as this lasts."""
    if place is None:
        yield
        return

    def hook(layer: Any, inputs: Any, out: Tensor) -> Tensor:
        return out + place.waves(out)

    handle = module.get_submodule(FIRST).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
