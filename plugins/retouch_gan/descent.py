"""Gradient descent on several tensors at once, as inversions and edits take it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from torch import Tensor

from retouch.api import Adam, step_all, value_and_grad

WARM, COOL = 0.05, 0.25  # shares of the steps in which the rate rises, and in which it falls


async def descend(
    loss: Callable[..., Awaitable[Tensor]], at: Sequence[Tensor], steps: int, lr: float
) -> tuple[Tensor, ...]:
    """Take steps of Adam down a loss of these tensors, whose rate rises at first and falls at the end.

    The rate's course is that of StyleGAN2's projector.  Karras et al. 2020, arXiv:1912.04958, appendix D.
    """
    at, adams = [*at], [Adam(lr) for _ in at]
    for step in range(steps):
        found = await value_and_grad(loss, *at)
        share = (step + 1) / steps
        pace = min(1.0, share / WARM, (1 - step / steps) / COOL)
        for adam in adams:
            adam.lr = lr * pace
        step_all(adams, at, list(found.grads))
    return tuple(at)
