"""The losses and the descent, against formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from retouch.core.values import NoiseSource
from retouch.run.executor import run
from retouch_gan.descent import descend
from retouch_gan.eye import Eye, Sight, astray, frames, mismatch, unlike


def unit(*shape: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.norm(dim=-1, keepdim=True)


def sight(seed: int) -> Sight:
    return Sight(unit(8, seed=seed), unit(12, 6, seed=seed + 100))


def test_a_mismatch_is_one_less_the_cosine():
    seen, text = sight(1), unit(8, seed=2)
    cosine = sum(a * b for a, b in zip(seen.embedding.tolist(), text.tolist(), strict=True))
    assert float(mismatch(seen, text)) == pytest.approx(1 - cosine)


def test_the_directional_loss_is_that_of_both_ways():
    """StyleGAN-NADA: 1 - dI . dT / (|dI| |dT|)."""
    before, after, source, target = sight(1), sight(2), unit(8, seed=3), unit(8, seed=4)
    way, said = after.embedding - before.embedding, target - source
    assert float(astray(before, after, source, target)) == pytest.approx(
        1 - float((way * said).sum() / (way.square().sum() * said.square().sum()).sqrt())
    )


def test_where_nothing_has_moved_the_directional_loss_has_a_finite_slope():
    before = sight(1)
    moved = before.embedding.clone().requires_grad_()
    loss = astray(before, Sight(moved, before.features), unit(8, seed=3), unit(8, seed=4))
    (slope,) = torch.autograd.grad(loss, moved)
    assert loss.item() == 1
    assert slope.isfinite().all()
    assert slope.norm() > 0  # it knows where to go


def test_equal_pictures_are_not_unlike():
    assert float(unlike(sight(1), sight(1))) == pytest.approx(0, abs=1e-12)
    apart = [1 - float(a @ b) for a, b in zip(sight(1).features, sight(2).features, strict=True)]
    assert float(unlike(sight(1), sight(2))) == pytest.approx(sum(apart) / len(apart))


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


def test_one_view_is_the_picture_and_several_are_moved_copies_of_it():
    noise, like = NoiseSource(1, "a"), torch.zeros(6, 128)
    seen: list[Tensor] = []

    def image(batch: Tensor) -> tuple[Tensor, Tensor]:
        seen.extend(batch)
        return batch.flatten(1), batch.flatten(1)[:, None]

    ramp = torch.linspace(0, 1, 64).expand(3, 64, 64)  # brighter to the right
    eye = Eye(image, image)
    run(eye.looks(ramp, frames(noise, 5, 1, like)[0]))
    assert torch.equal(seen.pop(), ramp)
    drawn = frames(noise, 5, 3, like)
    assert torch.equal(drawn, frames(noise, 5, 3, like))
    assert len({tuple(frame) for frame in drawn.flatten(0, 1).tolist()}) == 15  # another view at each step
    run(eye.looks(ramp, torch.tensor([[2 / 64, 0, 0], [0, 2 / 64, 0], [0, 0, 0.1]])))
    across, down, zoomed, *_ = seen  # a call is filled up to four
    assert torch.allclose(across[:, :, :-1], ramp[:, :, 1:], atol=1e-5)  # one pixel
    assert torch.allclose(down, ramp, atol=1e-5)
    assert torch.allclose(zoomed[0, 0].diff()[8:-8], torch.tensor(1.1 / 63), atol=1e-5)
