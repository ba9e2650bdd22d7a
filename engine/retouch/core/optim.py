"""Adam as a value-in, value-out step; the same numbers as torch.optim.Adam with its defaults."""

from __future__ import annotations

import torch
from torch import Tensor

from retouch.core.precision import at_least_float32


class Adam:
    """One tensor's optimiser.  Kingma & Ba 2015, arXiv:1412.6980, alg. 1.

    It computes in float32 at least: in float16 squares of small gradients are zero, and so is epsilon.
    """

    def __init__(self, lr: float, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8) -> None:
        self.lr, self.betas, self.epsilon = lr, betas, epsilon
        self.mean: Tensor | None = None  # [...], as the parameter
        self.square: Tensor | None = None  # [...]
        self.count = 0

    def step(self, parameter: Tensor, grad: Tensor) -> Tensor:
        """The parameter after one step down this gradient, at least in float32.  All of one shape [...]"""
        grad = at_least_float32(grad)
        if self.mean is None or self.square is None:
            self.mean, self.square = torch.zeros_like(grad), torch.zeros_like(grad)
        first, second = self.betas
        self.count += 1
        self.mean = torch.lerp(self.mean, grad, 1 - first)
        self.square = torch.addcmul(second * self.square, grad, grad, value=1 - second)
        size = (self.square.sqrt() / (1 - second**self.count) ** 0.5).add(self.epsilon)
        return parameter - self.lr / (1 - first**self.count) * self.mean / size
