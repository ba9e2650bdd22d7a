"""What a stranger does to a model's weights is undone where they lay: captured graphs read those addresses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from retouch.run.loaded.base_weights import BaseWeights, copy_weights


def swap(module: nn.Linear) -> None:
    module.weight.data = torch.zeros(3, 3)


def narrow(module: nn.Linear) -> None:
    module.weight.data = torch.zeros(1)


def halve(module: nn.Linear) -> None:
    module.half()


def replace(module: nn.Linear) -> None:
    module.weight = nn.Parameter(torch.zeros(3, 3))


def fill(module: nn.Linear) -> None:
    module.weight.data.fill_(7)


@pytest.mark.parametrize("write", [swap, narrow, halve, replace, fill])
def test_weights_come_back_into_the_memory_that_they_had(write):
    def fresh() -> nn.Linear:
        torch.manual_seed(0)
        return nn.Linear(3, 3).requires_grad_(False)

    module = fresh()
    places = [(weight, weight.data_ptr()) for weight in module.parameters()]
    weights = BaseWeights(lambda modules: [copy_weights(fresh(), each) for each in modules])
    assert weights.know(module)
    write(module)
    assert not weights.kept(module)
    assert [(weight, weight.data_ptr()) for weight in module.parameters()] == places
    assert all(torch.equal(one, two) for one, two in zip(module.parameters(), fresh().parameters(), strict=True))
    assert weights.kept(module)
