"""Learning by walks: a loss on where a walk leads, or on what each of its steps predicts, and Adam on the weights.

Through a whole walk the gradient is taken step by step, from the picture back to noise: the states on the way are kept,
and each step is done again for its own gradient (Chen et al. 2016, arXiv:1604.06174, with one step as the segment).  So
no more than one pass of the network is in memory at once, and the numbers are those of one long backward pass.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import torch
from torch import Tensor

from retouch.api import Adam, Denoiser, Prompt, Schedule, Step, gather, on_host, step_all, value_and_grad
from retouch_methods.tune.tensors import Movable

Miss = Callable[[Tensor], Awaitable[Tensor]]
"""async (the clean latents that are predicted [C, h, w]) -> how far the picture is from what is wanted  # []"""


class Learner:
    """Weights on their way, and what moves them.  Pictures of one step of Adam share their passes."""

    def __init__(self, movable: Movable, prompt: Prompt, lr: float) -> None:
        self.movable, self.prompt = movable, prompt
        self.tensors = movable.first()
        self.adams = [Adam(lr) for _ in self.tensors]

    @property
    def now(self) -> Denoiser:
        """The model as it is tuned so far."""
        return self.movable.under(self.tensors)

    def grow(self, factor: float) -> None:
        """Raise the learning rate."""
        for adam in self.adams:
            adam.lr *= factor

    async def whole(self, walk: Schedule, noisy: Tensor, misses: Sequence[Miss]) -> float:
        """One step of Adam down the gradient through all steps of a walk.  noisy: [n, C, h, w]; returns the loss."""
        model, states = self.now, [noisy]
        # Back by hand, a step at a time: only states are kept, so the memory is one step's however long the walk.
        *before, last = walk.steps
        for step in before:
            states.append(await self._moved(model, states[-1], step))

        async def missed(x: Tensor, *tensors: Tensor) -> Tensor:
            return await _mean(misses, await self._moved(self.movable.under(tensors), x, last))

        found = await value_and_grad(missed, states[-1], *self.tensors)
        loss, (pull, *grads) = found.loss, found.grads
        for step, at in zip(reversed(before), reversed(states[:-1]), strict=True):

            async def pulled(x: Tensor, *tensors: Tensor, step: Step = step, pull: Tensor = pull) -> Tensor:
                return (await self._moved(self.movable.under(tensors), x, step) * pull).sum()

            # The gradient by the state goes on to the step before; those by the weights add up.
            pull, *more = (await value_and_grad(pulled, at, *self.tensors)).grads
            grads = [one + other for one, other in zip(grads, more, strict=True)]
        self._step(grads)
        return float(await on_host(loss))

    async def efficient(self, walk: Schedule, noisy: Tensor, misses: Sequence[Miss]) -> float:
        """A step of Adam at each step of a walk, down the gradient of what that one predicts.  Returns the last loss.

        noisy: [n, C, h, w]
        """
        x, loss = noisy, torch.zeros(())
        for step in walk:

            async def missed(*tensors: Tensor, x: Tensor = x, step: Step = step) -> tuple[Tensor, Tensor]:
                model = self.movable.under(tensors)
                said = await gather(model(each, step.noisy, self.prompt) for each in x)
                moved = [step.carry(each, pred).detach() for each, pred in zip(x, said, strict=True)]
                return await _mean(misses, [pred.x0 for pred in said]), torch.stack(moved)

            found = await value_and_grad(missed, *self.tensors)
            self._step(found.grads)
            x, loss = found.extra, found.loss
        return float(await on_host(loss))

    async def _moved(self, model: Denoiser, x: Tensor, step: Step) -> Tensor:
        """One step down for all pictures.  [n, C, h, w], as what comes"""
        said = await gather(model(each, step.noisy, self.prompt) for each in x)
        return torch.stack([step.carry(each, pred) for each, pred in zip(x, said, strict=True)])

    def _step(self, grads: Sequence[Tensor]) -> None:
        step_all(self.adams, self.tensors, list(grads))


async def _mean(misses: Sequence[Miss], predicted: Sequence[Tensor] | Tensor) -> Tensor:
    return torch.stack(await gather(miss(each) for miss, each in zip(misses, predicted, strict=True))).mean()
