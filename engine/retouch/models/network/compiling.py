"""A network compiled by torch.compile, once for each number of rows, with gradients and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

MOST_SHAPES = 128  # six numbers of rows, with and without gradients, strictly or not, and prompts of several lengths


def compiled(module: nn.Module, backend: Any = "inductor") -> Any:
    """The module, to be called as it is; each shape of its inputs is compiled when it first comes.

    Torch stops after eight, of all networks of one class together, and evaluates what comes later as it is; the
    largest calls come last.
    backend: what torch hands its graphs to.
    """
    config: Any = torch._dynamo.config
    limit = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"  # as older versions say
    setattr(config, limit, max(getattr(config, limit), MOST_SHAPES))
    return torch.compile(module, dynamic=False, backend=backend)
