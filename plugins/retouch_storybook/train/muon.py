"""Muon: momentum made orthogonal, for weight matrices.  Jordan et al. 2024, "Muon: an optimizer for hidden layers"."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # drives singular values to about 1, in five steps


class Muon(torch.optim.Optimizer):
    """Step along the orthogonal matrix nearest to the Nesterov momentum; a convolution is a matrix of its outputs.

    lr: length of a step, in units of the root mean square of the orthogonal update; momentum in [0, 1);
    weight_decay: share of a weight lost per step, in units of lr.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)

    def _move(self, weight: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state, lr, momentum = self.state[weight], group["lr"], group["momentum"]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        velocity = state["momentum"].mul_(momentum).add_(grad)
        update = orthogonal(grad.add(velocity, alpha=momentum).flatten(1))
        stretch = max(1, update.shape[0] / update.shape[1]) ** 0.5
        weight.mul_(1 - lr * group["weight_decay"]).add_(update.view_as(weight), alpha=-lr * stretch)


def orthogonal(matrix: Tensor) -> Tensor:
    """Make all singular values about 1, by five Newton-Schulz steps.  [m, n] -> [m, n]"""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
