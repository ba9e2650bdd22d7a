"""A descent that goes on where a killed run left it: tensors and what Adam remembers, kept as it goes.

Steps draw their levels and noise by their number alone, so what comes out has the bits of a descent that nobody
interrupted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import torch
from torch import Tensor

from retouch.api import Adam, Checkpoint, Prompt
from retouch_methods.tune.denoising import Example, LossScale, Miss, descend, mean_missed
from retouch_methods.tune.tensors import Movable

_DONE, _SCALE = "done", "loss scale"


async def descend_resuming(
    start: Sequence[Tensor],
    miss: Miss,
    lr: float,
    steps: range,
    log: Callable[[int, float], None],
    checkpoint: Checkpoint,
    beside: Mapping[str, Tensor] | None = None,
    scale: LossScale | None = None,
) -> list[Tensor]:
    """All steps of Adam down a loss, those that an earlier run has taken left out.

    start: where the tensors begin.
    steps: the numbers of the steps; others of the same work may go before them, and are none of this descent's.
    checkpoint: of the work that this descent is the whole or a part of; who has done all of it drops it.
    beside: what else is to be kept there, by name.
    scale: what the loss is multiplied by, where a network computes in float16; kept with the rest.
    """
    kept, scale = checkpoint.read(), scale or LossScale()
    tensors, adams, done = _resumed(start, lr, steps, kept)
    if done > steps.start:
        scale.value = float(kept[_SCALE])

    def keep(now: int, moved: Sequence[Tensor]) -> None:
        checkpoint.keep(lambda: {**_state(now, moved, adams), _SCALE: torch.tensor(scale.value), **(beside or {})})

    return await descend(tensors, miss, adams, range(done, steps.stop), log, scale, keep)


async def learn_pictures(
    moved: Movable,
    seen: Callable[[int], Awaitable[list[Example]]],
    prompt: Prompt,
    lr: float,
    steps: range,
    log: Callable[[int, float], None],
    checkpoint: Checkpoint,
    beside: Mapping[str, Tensor] | None = None,
) -> list[Tensor]:
    """Move weights until the network denoises what is seen under a prompt.  Returns them, for `moved.under`.

    steps, checkpoint, beside: as in `descend_resuming`; the work ends here, and its checkpoint is dropped.
    """

    async def miss(step: int, *tensors: Tensor) -> Tensor:
        return await mean_missed(moved.under(tensors), await seen(step), prompt)

    scale = LossScale.of(moved.model)
    learnt = await descend_resuming(moved.first(), miss, lr, steps, log, checkpoint, beside, scale)
    checkpoint.drop()
    return learnt


def _state(done: int, tensors: Sequence[Tensor], adams: Sequence[Adam]) -> dict[str, Tensor]:
    """All that the next step depends on, by name."""
    made = {_DONE: tensors[0].new_tensor(done)}
    for i, (tensor, adam) in enumerate(zip(tensors, adams, strict=True)):
        assert adam.mean is not None
        assert adam.square is not None
        made |= {f"{i}.tensor": tensor, f"{i}.mean": adam.mean, f"{i}.square": adam.square}
    return made


def _resumed(
    start: Sequence[Tensor], lr: float, steps: range, kept: Mapping[str, Tensor]
) -> tuple[list[Tensor], list[Adam], int]:
    """Tensors, their optimisers, and the number of the next step."""
    adams = [Adam(lr) for _ in start]
    if any(f"{i}.tensor" not in kept or kept[f"{i}.tensor"].shape != each.shape for i, each in enumerate(start)):
        return list(start), adams, steps.start
    done = int(kept[_DONE])
    if not steps.start < done <= steps.stop:  # of another part of the work
        return list(start), adams, steps.start
    for i, (each, adam) in enumerate(zip(start, adams, strict=True)):
        adam.mean, adam.square = kept[f"{i}.mean"].to(each.device), kept[f"{i}.square"].to(each.device)
        adam.count = done - steps.start
    return [kept[f"{i}.tensor"].to(each.device) for i, each in enumerate(start)], adams, done
