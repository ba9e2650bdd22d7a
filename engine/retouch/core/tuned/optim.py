"""Adam as a value-in, value-out step; the same numbers as torch.optim.Adam with its defaults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from retouch.core.device.precision import at_least_float32

PIECE = 2**18  # numbers that a processor's cache holds several times over
TOGETHER = 2**26  # numbers that an accelerator steps at once: beside them that takes a quarter of a gigabyte or so


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


def step_all(adams: Sequence[Adam], parameters: list[Tensor], grads: list[Tensor]) -> None:
    """Move many parameters one step, each by its own optimiser; the same numbers as one by one.

    On an accelerator a network has hundreds, small ones most of them, and ten launches for each are what a step of a
    tuning waits for: there as many as may are stepped by one launch.

    parameters: the list gets those after the step; each of a shape of its own.
    grads: theirs; the list is emptied.  So nothing of a large network is held longer than it is of use.
    """
    begin = 0
    for count in _together(adams, parameters):
        these, begin = slice(begin, begin + count), begin + count
        given, grads[:count] = grads[:count], []
        if count == 1:
            parameters[these] = [adams[these.start].step(parameters[these.start], given.pop())]
        else:
            parameters[these] = _stepped_together(adams[these], parameters[these], given)


def _together(adams: Sequence[Adam], parameters: Sequence[Tensor]) -> list[int]:
    """How many of those that are left, from the first on, are stepped at once."""
    counts, numbers, kind = list[int](), 0, None
    for adam, each in zip(adams, parameters, strict=True):
        its = each.device, each.dtype, adam.lr, adam.betas, adam.epsilon, adam.count
        numbers += each.numel()
        if each.device.type == "cpu" or its != kind or numbers > TOGETHER:
            counts.append(0)
            numbers, kind = each.numel(), its
        counts[-1] += 1
    return counts


def _stepped_together(adams: Sequence[Adam], parameters: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    """`Adam.step` of several at one rate, operation by operation.  grads: emptied"""
    every: Any = torch  # its operations on lists have no types
    grads[:] = map(at_least_float32, grads)
    for adam, grad in zip(adams, grads, strict=True):
        if adam.mean is None or adam.square is None:
            adam.mean, adam.square = torch.zeros_like(grad), torch.zeros_like(grad)
        adam.count += 1
    (first, second), rate, count = adams[0].betas, adams[0].lr, adams[0].count
    means = every._foreach_lerp([adam.mean for adam in adams], grads, 1 - first)
    squares = every._foreach_mul([adam.square for adam in adams], second)
    every._foreach_addcmul_(squares, grads, grads, value=1 - second)
    grads.clear()
    sizes = every._foreach_sqrt(squares)
    every._foreach_div_(sizes, (1 - second**count) ** 0.5)
    every._foreach_add_(sizes, adams[0].epsilon)
    steps = every._foreach_mul(means, rate / (1 - first**count))
    every._foreach_div_(steps, sizes)
    for adam, mean, square in zip(adams, means, squares, strict=True):
        adam.mean, adam.square = mean, square
    return list(every._foreach_sub(parameters, steps))


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
