"""The losses and the descent, against formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from retouch.core.eyes import VisionTokens
from retouch.core.looking import direction_apart
from retouch.run.executor import run
from retouch_gan.alike import Alike
from retouch_gan.descent import descend
from retouch_gan.edit import LEAST


def unit(*shape: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.norm(dim=-1, keepdim=True)


def tower(factor: float) -> VisionTokens:
    """Two layers, whose keys are the class token's and those of four columns of pixels."""

    def look(batch: Tensor) -> tuple[Tensor, Tensor]:
        columns = torch.cat((batch[..., :1], batch), 3).flatten(1, 2).transpose(1, 2)  # [B, 1 + 4, 12]
        return batch.flatten(1)[:, None].expand(-1, 2, -1), torch.stack((columns, factor * columns.square()), 1)

    return VisionTokens(4, 2, look)


def test_a_picture_is_unlike_another_as_every_tower_sees_it_in_every_layer_place_by_place():
    one, other = unit(3, 4, 4, seed=1).abs(), unit(3, 4, 4, seed=2).abs()
    towers = tower(1.0), tower(-2.0)
    alike = run(Alike.to(one, towers))[0]
    assert float(run(alike.unlike(one))[0]) == pytest.approx(0, abs=1e-12)
    apart = []
    for _ in towers:
        for a, b in ((one, other), (one.square(), other.square())):
            for column in range(4):
                left, right = a[..., column].flatten(), b[..., column].flatten()
                apart.append(1 - float(left @ right / (left.norm() * right.norm())))
    assert float(run(alike.unlike(other))[0]) == pytest.approx(sum(apart) / len(apart))


def test_where_nothing_has_moved_the_directional_loss_has_a_slope_that_adam_can_take():
    here, way = unit(1, 8, seed=1), unit(8, seed=3)
    moved = here.clone().requires_grad_()
    loss = direction_apart(moved, here, way, LEAST).sum()
    (slope,) = torch.autograd.grad(loss, moved)
    assert loss.item() == 1
    assert float(slope.norm()) == pytest.approx(1 / LEAST)
    assert torch.allclose(-slope[0] / slope.norm(), way)  # it knows where to go


def test_a_descent_takes_adams_steps_at_a_rate_that_rises_and_falls():
    wanted, begun, steps, lr = unit(5, seed=1), torch.zeros(5, dtype=torch.float64), 40, 0.1

    async def loss(x: Tensor) -> Tensor:
        return (x - wanted).square().sum()

    (got,) = run(descend(loss, [begun], steps, lr))
    x, mean, square = begun.clone(), torch.zeros(5), torch.zeros(5)
    for step in range(steps):
        grad = 2 * (x - wanted)
        mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad**2
        rate = lr * min(1, (step + 1) / steps / 0.05, (1 - step / steps) / 0.25)
        x = x - rate * (mean / (1 - 0.9 ** (step + 1))) / ((square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
    assert torch.allclose(got[0], x, atol=1e-6)
