"""Training at a GPU's pace: a network of bfloat16 beside weights in float32, and nothing that waits for the GPU.

Micikevicius et al. 2018, arXiv:1710.03740, sec. 3.1: master weights.  bfloat16 needs no scale of the loss.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from retouch_storybook.train.loop import Part, Training, optimizers_of
from retouch_storybook.train.muon import BatchedMuon, foreach


class MixedTraining(Training):
    """A training whose network is of another dtype than the weights that it moves.

    Weights, average and optimizers are in float32; gradients are brought there, and weights back, in one call for all.
    The draws of a step are made where the network is.  Drawings may come in at any step, so that a resumed training
    goes on from its weights, but not with the same batches.
    """

    def __init__(
        self, part: Part, minutes: float, dtype: torch.dtype, clock: Callable[[], float] = time.monotonic
    ) -> None:
        part.network.float()
        super().__init__(part, minutes, clock)
        self.moved = list(self.weights.values())  # of the network
        self.weights = {name: nn.Parameter(p.detach().clone()) for name, p in self.weights.items()}
        self.optimizers = optimizers_of(part, self.weights, BatchedMuon)
        self.gradients = [torch.zeros_like(weight) for weight in self.weights.values()]
        part.network.to(dtype)
        self.draws = torch.Generator(self.moved[0].device)

    def advance(self) -> Tensor:
        """Take one step, and give its loss."""
        self._set_rates()
        self.draws.manual_seed(self.part.settings.seed * 1_000_003 + self.step)
        loss = self.part.loss(self.draws)
        loss.backward()
        self._take_gradients()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        for optimizer, _ in self.optimizers.values():
            optimizer.step()
        self._follow()
        self._publish()
        self.step += 1
        return loss.detach()

    def resume(self, folder: Path) -> bool:
        """Go on from the state kept in a folder, if there is one."""
        resumed = super().resume(folder)
        self._publish()
        return resumed

    def finish(self) -> None:
        """Give the network its averaged weights, in float32."""
        self.part.network.float()
        for weight, average in zip(self.moved, self.average.values(), strict=True):
            weight.data = average.detach().clone(memory_format=torch.contiguous_format)

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
