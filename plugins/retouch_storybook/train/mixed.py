"""Training at a GPU's pace: a network of bfloat16 beside weights in float32, and nothing that waits for the GPU.

Micikevicius et al. 2018, arXiv:1710.03740, sec. 3.1: master weights.  bfloat16 needs no scale of the loss.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from retouch_storybook.train.adam import BatchedAdamW
from retouch_storybook.train.captured import Captured
from retouch_storybook.train.loop import Part, Training, optimizers_of
from retouch_storybook.train.muon import BatchedMuon, foreach

REPORTED = 0.02  # share of a step's loss in the smoothed one


class MixedTraining(Training):
    """A training whose network is of another dtype than the weights that it moves.

    Weights, average and optimizers are in float32; gradients are brought there, and weights back, in one call for all.
    The draws of a step are made where the network is, and so are all numbers that change from step to step: on a GPU
    the whole step is one CUDA graph.  A resumed training goes on from its weights, but not with the same batches.
    """

    def __init__(
        self, part: Part, minutes: float, dtype: torch.dtype, clock: Callable[[], float] = time.monotonic
    ) -> None:
        part.network.float()
        super().__init__(part, minutes, clock)
        self.moved = list(self.weights.values())  # of the network
        self.weights = {name: nn.Parameter(p.detach().clone()) for name, p in self.weights.items()}
        self.optimizers = optimizers_of(part, self.weights, BatchedMuon, BatchedAdamW)
        self.gradients = [torch.zeros_like(weight) for weight in self.weights.values()]
        part.network.to(dtype)
        device = self.moved[0].device
        self.rate, self.taken, self.smoothed = (torch.zeros((), device=device) for _ in range(3))
        self.since = torch.zeros((), device=device)  # steps since the process began
        self.captured = self._capture()

    def advance(self) -> Tensor:
        """Take one step, and give its loss; on a GPU that is one tensor, which the next step overwrites."""
        self.rate.fill_(self.pace())
        loss = self.captured()
        self.step += 1
        return loss

    def resume(self, folder: Path) -> bool:
        """Go on from the state kept in a folder, if there is one."""
        resumed = super().resume(folder)
        self.taken.fill_(self.step)
        self.captured = self._capture()
        self._publish()
        return resumed

    def finish(self) -> None:
        """Give the network its averaged weights, in float32; no step comes after."""
        del self.captured
        self.part.network.float()
        for weight, average in zip(self.moved, self.average.values(), strict=True):
            weight.data = average.detach().clone(memory_format=torch.contiguous_format)
            weight.grad = None

    def _capture(self) -> Captured:
        seed = self.part.settings.seed * 1_000_003 + self.step
        return Captured(self._advance, self.moved[0].device, seed)

    def _advance(self, draws: torch.Generator) -> Tensor:
        """All of a step; nothing here may depend on a number of the host that changes."""
        for moved in self.moved:
            moved.grad = None  # a step that was begun and not finished leaves some
        self.taken.add_(1)
        self.since.add_(1)
        loss = self.part.loss(draws)
        loss.backward()
        self._take_gradients()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0, foreach=True)
        for optimizer, rate in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"], group["step"] = rate * self.rate, self.taken
            optimizer.step()
        self._follow()
        self._publish()
        loss = loss.detach()
        self.smoothed.lerp_(loss.to(self.smoothed.dtype), self.since.reciprocal().clamp(min=REPORTED))
        return loss

    @torch.no_grad()
    def _follow(self) -> None:
        share = (9 / (self.taken + 9)).clamp(min=1 - self.part.settings.average)
        averages = list(self.average.values())
        ways = foreach._foreach_sub(list(self.weights.values()), averages)
        foreach._foreach_mul_(ways, share)
        foreach._foreach_add_(averages, ways)

    @torch.no_grad()
    def _take_gradients(self) -> None:
        taken = [
            (weight, kept, moved)
            for weight, kept, moved in zip(self.weights.values(), self.gradients, self.moved, strict=True)
            if moved.grad is not None
        ]
        foreach._foreach_copy_([kept for _, kept, _ in taken], [moved.grad for _, _, moved in taken])
        for weight, kept, moved in taken:
            weight.grad, moved.grad = kept, None

    @torch.no_grad()
    def _publish(self) -> None:
        foreach._foreach_copy_(self.moved, list(self.weights.values()))
