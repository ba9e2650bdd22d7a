"""Adam as a value-in, value-out step; the same numbers as torch.optim.Adam with its defaults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from retouch.core.device.precision import at_least_float32

PIECE = 2**18  # numbers that a processor's cache holds several times over


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
        self.count += 1
        state = parameter, grad, self.mean, self.square
        if parameter.numel() <= PIECE or any(each.device.type != "cpu" or not each.is_contiguous() for each in state):
            moved, self.mean, self.square = self._stepped(*state)
            return moved
        # On a CPU a step is bound by memory: pieces that stay in its cache are read once, where whole tensors are read
        # for each operation.  The same bits, four times as fast.
        moved = torch.empty_like(parameter, dtype=torch.promote_types(parameter.dtype, grad.dtype))
        flat = (each.view(-1).split(PIECE) for each in (*state, moved))
        for *piece, after in zip(*flat, strict=True):
            for place, now in zip((after, *piece[2:]), self._stepped(*piece), strict=True):
                place.copy_(now)
        return moved

    def _stepped(self, parameter: Tensor, grad: Tensor, mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parameter, mean and mean square after a step.  All of one shape [...]"""
        first, second = self.betas
        mean = torch.lerp(mean, grad, 1 - first)
        square = torch.addcmul(second * square, grad, grad, value=1 - second)
        size = (square.sqrt() / (1 - second**self.count) ** 0.5).add(self.epsilon)
        return parameter - self.lr / (1 - first**self.count) * mean / size, mean, square


# Bytes that moving a number takes: itself in float32, what Adam remembers of it, and its gradient.
MASTER, MOMENTS, GRADIENT = 4, 8, 4
SHARE = 0.8  # of a card's memory: the rest is for passes of the network, the codec and the libraries


def masters(weights: Sequence[Tensor], network: Iterable[Tensor]) -> list[Tensor]:
    """Weights as they are moved, in float32 at least: master weights of Micikevicius et al. 2018, arXiv:1710.03740.

    They are in host memory where the card holds the network and not all that moving them takes.  Gradients and Adam's
    moments follow them there, and copies in the network's precision go to the card at each step.  That hangs on the
    card alone, not on what is free: whoever runs the same again gets the same bits.

    weights: those of the network that are moved.
    """
    device = weights[0].device if weights else torch.device("cpu")
    room = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    moved = sum(weight.numel() * _moving(weight.element_size()) for weight in weights)
    # The network stays on the card beside what is moved, and is not part of it.
    held = sum(weight.numel() * weight.element_size() for weight in network)
    place = device if room is None or moved + held <= SHARE * room else torch.device("cpu")
    return [each.to(place, torch.promote_types(each.dtype, torch.float32)) for each in weights]


def _moving(item: int) -> int:
    """Bytes that moving one number of a network takes beside the network; item: bytes that it has there."""
    return MASTER + MOMENTS + GRADIENT + (item if item < MASTER else 0)
