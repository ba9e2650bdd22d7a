"""AdamW for all weights at once, whose numbers may live on the device.  Loshchilov & Hutter 2019, arXiv:1711.05101"""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from retouch_storybook.train.muon import foreach

EPS = 1e-8


class BatchedAdamW(torch.optim.Optimizer):
    """The steps of `torch.optim.AdamW`, in few launches and without a look at any value, as a CUDA graph wants it.

    Each group has `lr` and `step`, the number of the step from 1: numbers, or tensors without dimensions on the
    weights' device, which whoever owns the optimizer sets before each step.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float):
        super().__init__(params, {"lr": lr, "step": 1, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            grads, (first, second) = [weight.grad for weight in weights], group["betas"]
            means, squares = self._states(weights, "mean"), self._states(weights, "square")
            foreach._foreach_lerp_(means, grads, 1 - first)
            foreach._foreach_mul_(squares, second)
            foreach._foreach_addcmul_(squares, grads, grads, 1 - second)
            spreads = foreach._foreach_sqrt(squares)
            foreach._foreach_mul_(spreads, (1 - second ** group["step"]) ** -0.5)
            foreach._foreach_add_(spreads, EPS)
            updates = foreach._foreach_div(means, spreads)
            foreach._foreach_mul_(updates, -group["lr"] / (1 - first ** group["step"]))
            foreach._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            foreach._foreach_add_(weights, updates)

    def _states(self, weights: list[nn.Parameter], key: str) -> list[torch.Tensor]:
        for weight in weights:
            if key not in self.state[weight]:
                self.state[weight][key] = torch.zeros_like(weight)
        return [self.state[weight][key] for weight in weights]
