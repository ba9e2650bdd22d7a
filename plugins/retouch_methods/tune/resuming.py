"""A descent that goes on where a killed run left it: tensors and what Adam remembers, kept as it goes.

Steps draw their levels and noise by their number alone, so what comes out has the bits of a descent that nobody
interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from retouch.api import Adam, Checkpoint, TrainingLog
from retouch_methods.tune.denoising import LossScale, Miss, counted, descend

_DONE, _SCALE = "done", "loss scale"


async def descend_resuming(
    start: Sequence[Tensor],
    miss: Miss,
    lr: float,
    steps: int,
    log: TrainingLog,
    checkpoint: Checkpoint,
    beside: Mapping[str, Tensor] | None = None,
    scale: LossScale | None = None,
) -> list[Tensor]:
    """All steps of Adam down a loss, those that an earlier run has taken left out.

    start: where the tensors begin.
    checkpoint: of the work that this descent is; it is dropped at the end.
    beside: what else is to be kept there, by name.
    scale: what the loss is multiplied by, where a network computes in float16; kept with the rest.
    """
    kept, scale = checkpoint.read(), scale or LossScale()
    tensors, adams, done = _resumed(start, lr, kept)
    if done:
        scale.value = float(kept[_SCALE])

    def keep(now: int, moved: Sequence[Tensor]) -> None:
        checkpoint.keep(lambda: {**_state(now, moved, adams), _SCALE: torch.tensor(scale.value), **(beside or {})})

    made = await descend(tensors, miss, adams, range(done, steps), counted(log, 0, steps), scale, keep)
    checkpoint.drop()
    return made


def _state(done: int, tensors: Sequence[Tensor], adams: Sequence[Adam]) -> dict[str, Tensor]:
    """All that the next step depends on, by name."""
    made = {_DONE: tensors[0].new_tensor(done)}
    for i, (tensor, adam) in enumerate(zip(tensors, adams, strict=True)):
        assert adam.mean is not None
        assert adam.square is not None
        made |= {f"{i}.tensor": tensor, f"{i}.mean": adam.mean, f"{i}.square": adam.square}
    return made


def _resumed(start: Sequence[Tensor], lr: float, kept: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Adam], int]:
    """Tensors, their optimisers, and how many steps they have taken."""
    adams = [Adam(lr) for _ in start]
    if any(f"{i}.tensor" not in kept or kept[f"{i}.tensor"].shape != each.shape for i, each in enumerate(start)):
        return list(start), adams, 0
    done = int(kept[_DONE])
    for i, (each, adam) in enumerate(zip(start, adams, strict=True)):
        adam.mean, adam.square = kept[f"{i}.mean"].to(each.device), kept[f"{i}.square"].to(each.device)
        adam.count = done
    return [kept[f"{i}.tensor"].to(each.device) for i, each in enumerate(start)], adams, done
