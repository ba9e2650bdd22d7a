"""What a tuning asks of a GPU beside the network: few launches a step, and looks at its loss."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from retouch.api import Adam, Diverged, step_all
from retouch.core.tuned import optim
from retouch.run.executor import run
from retouch.testing.pretend.device import pretended
from retouch.testing.pretend.moving import GPU
from retouch_methods.tune.denoising import descend

SHAPES = [(3, 4), (5,), (2, 2, 2), (7,), (1,), (40,)]


class Counted(TorchDispatchMode):
    """How often each operation was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


def drawn(seed: int, device: object) -> list[Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draws).to(device) for shape in SHAPES]


def optimisers() -> list[Adam]:
    """The last one's rate is its own."""
    return [*(Adam(0.1) for _ in SHAPES[1:]), Adam(0.01)]


def test_parameters_step_together_and_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(optim, "TOGETHER", 25)
    one_by_one, together = optimisers(), optimisers()
    here = drawn(0, "cpu")
    with pretended():
        there = drawn(0, GPU)
        for seed in range(1, 4):
            here = [adam.step(*pair) for adam, *pair in zip(one_by_one, here, drawn(seed, "cpu"), strict=True)]
            grads = drawn(seed, GPU)
            with Counted() as asked:
                step_all(together, there, grads)
            assert grads == []
            assert all(torch.equal(one.cpu(), other) for one, other in zip(there, here, strict=True))
        for one, other in zip(together, one_by_one, strict=True):
            assert torch.equal(one.mean.cpu(), other.mean)
            assert torch.equal(one.square.cpu(), other.square)
        assert asked.found["aten::_foreach_lerp"] == 2  # the first three, and two
        assert asked.found["aten::lerp"] == 1


def falling(wrong_at: int | None = None) -> Any:
    async def miss(step: int, *at: Tensor) -> Tensor:
        return (at[0] * (float("nan") if step + 1 == wrong_at else 1.0)).square().sum()

    return miss


def test_losses_are_looked_at_each_eighth_step():
    told: list[tuple[int, float]] = []
    kept: list[int] = []
    with pretended() as device:
        start = torch.ones(2, device=GPU)
        before = len(device.waits)
        steps = range(20)
        run(
            descend(
                [start],
                falling(),
                [Adam(0.1)],
                steps,
                lambda *said: told.append(said),
                keep=lambda done, _: kept.append(done),
            )
        )
        assert len(device.waits) - before == 3
    assert [done for done, _ in told] == kept == [8, 16, 20]
    assert all(torch.isfinite(torch.tensor(loss)) for _, loss in told)


@pytest.mark.parametrize("where", ["cpu", GPU])
def test_what_diverges_is_told_by_its_step_and_nothing_of_it_is_kept(where: object):
    kept: list[int] = []
    with pretended():
        start = [torch.ones(2, device=where)]
        with pytest.raises(Diverged) as told:
            run(
                descend(
                    start,
                    falling(11),
                    [Adam(0.1)],
                    range(20),
                    lambda *_: None,
                    keep=lambda done, _: kept.append(done),
                )
            )
    assert told.value.args == Diverged(11).args
    assert kept == (list(range(1, 11)) if where == "cpu" else [8])
