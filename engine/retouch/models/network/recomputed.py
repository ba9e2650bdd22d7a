"""Gradients through a large network in the memory of one of its blocks.  Chen et al. 2016, arXiv:1604.06174.

Tuning goes back by weights, null-text inversion by words, guidance by latents: a pass keeps much the same for each.
Each block keeps what goes into it alone, and is done again on the way back.  All that surrounded it is there again by
then: the weights that stand in, what runs beside layers, controls at attention.  So gradients have the bits that they
have without, wherever a kernel gives the same bits twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Recomputing:
    """The blocks of a network that can be done again: those in which diffusers looks for `gradient_checkpointing`."""

    def __init__(self, network: nn.Module) -> None:
        modules: list[Any] = list(network.modules())
        self._blocks = [module for module in modules if hasattr(module, "gradient_checkpointing")]

    @contextmanager
    def around(self, again: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
        """Let the pass that runs inside keep what goes into blocks alone.

        again: makes what surrounds a block when it is done again, once for each.
        """

        def kept(block: Callable[..., Any], *args: Any) -> Any:
            both = lambda: (nullcontext(), again())  # noqa: E731 (the first way, and the second)
            # Networks draw nothing, so there is no generator to be set back.
            return checkpoint(block, *args, use_reentrant=False, preserve_rng_state=False, context_fn=both)

        for block in self._blocks:
            block.gradient_checkpointing, block._gradient_checkpointing_func = True, kept
        try:
            yield
        finally:
            for block in self._blocks:
                block.gradient_checkpointing, block._gradient_checkpointing_func = False, None


@contextmanager
def standing_in(module: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Put these in place of some of a module's weights, as long as this lasts."""
    places = [_place(module, name) for name in weights]
    own = [table[name] for table, name in places]
    try:
        for (table, name), weight in zip(places, weights.values(), strict=True):
            table[name] = weight
        yield
    finally:
        for (table, name), weight in zip(places, own, strict=True):
            table[name] = weight


def _place(module: nn.Module, name: str) -> tuple[dict[str, Any], str]:
    """The table that holds a weight, and its name there."""
    path, _, leaf = name.rpartition(".")
    return module.get_submodule(path)._parameters, leaf
