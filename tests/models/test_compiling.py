"""A compiled network is compiled for every number of rows, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from retouch.models.network.compiling import compiled


@pytest.fixture
def nothing_compiled() -> Iterator[None]:
    """What torch keeps of functions that were compiled counts for all tests of a process."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.thorough  # torch's compiler takes seconds to be there at all
def test_every_number_of_rows_is_compiled_with_gradients_and_without(nothing_compiled: None) -> None:
    made: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> object:
        made.append(graph)
        return graph.forward

    module = compiled(nn.Sequential(nn.Linear(2, 2)), backend)
    for rows in (1, 2, 4, 8, 16, 32):
        for gradient in (False, True):
            with torch.set_grad_enabled(gradient):
                module(torch.ones(rows, 2))
    assert len(made) == 12
