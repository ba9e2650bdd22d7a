"""Muon: momentum made orthogonal, for weight matrices.  Jordan et al. 2024, "Muon: an optimizer for hidden layers"."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

foreach: Any = torch  # its calls on lists of tensors, which torch's optimizers use, are not in its types
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
                    state, lr, momentum = self.state[weight], group["lr"], group["momentum"]
                    if not state:
                        state["momentum"] = torch.zeros_like(weight)
                    velocity = state["momentum"].mul_(momentum).add_(weight.grad)
                    # Nesterov's: the momentum as it will be after this gradient, made orthogonal.
                    update = orthogonal(weight.grad.add(velocity, alpha=momentum).flatten(1))
                    # Entries of a tall orthogonal matrix are smaller, and all weights are to move as far.
                    stretch = max(1, update.shape[0] / update.shape[1]) ** 0.5
                    weight.mul_(1 - lr * group["weight_decay"]).add_(update.view_as(weight), alpha=-lr * stretch)


def orthogonal(matrix: Tensor) -> Tensor:
    """Make all singular values about 1, by five Newton-Schulz steps.  [..., m, n] -> [..., m, n]"""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class BatchedMuon(Muon):
    """The same steps for all weights at once: few launches, as a GPU wants it.

    Matrices of like shape are padded with zeros to one, which changes none of their singular values.  The group's `lr`
    may be a tensor without dimensions on the weights' device, so that a CUDA graph can replay the step.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            grads, velocities = [weight.grad for weight in weights], [self._velocity(weight) for weight in weights]
            foreach._foreach_mul_(velocities, group["momentum"])
            foreach._foreach_add_(velocities, grads)
            ahead = foreach._foreach_add(grads, velocities, alpha=group["momentum"])
            updates = _orthogonal_all([each.flatten(1) for each in ahead])
            steps = [
                update.to(weight.dtype).reshape(weight.shape).contiguous()
                for update, weight in zip(updates, weights, strict=True)
            ]
            # Orthogonal, entries are about 1 / sqrt(the longer side); stretched, 1 / sqrt(columns) for tall ones too.
            stretches = [max(1, weight.shape[0] / weight[0].numel()) ** 0.5 for weight in weights]
            foreach._foreach_mul_(steps, [-stretch for stretch in stretches])
            foreach._foreach_mul_(steps, group["lr"])
            foreach._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            foreach._foreach_add_(weights, steps)

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        return state["momentum"]


def _orthogonal_all(matrices: list[Tensor]) -> list[Tensor]:
    """Make each orthogonal, those of like shape together; in bfloat16 on a GPU, which Newton-Schulz bears."""
    wide = [matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    alike: dict[tuple[int, int], list[int]] = {}
    for i, matrix in enumerate(wide):
        rows, columns = matrix.shape
        padded = -(-rows // 64) * 64, 1 << (columns - 1).bit_length()  # few shapes, so few launches
        alike.setdefault(padded, []).append(i)
    found = list(wide)
    for (rows, columns), members in alike.items():
        dtype = torch.bfloat16 if wide[members[0]].is_cuda else torch.float32
        stack = torch.zeros(len(members), rows, columns, dtype=dtype, device=wide[members[0]].device)
        places = [stack[k, : wide[i].shape[0], : wide[i].shape[1]] for k, i in enumerate(members)]
        foreach._foreach_copy_(places, [wide[i] for i in members])
        turned = orthogonal(stack)
        for k, i in enumerate(members):
            found[i] = turned[k, : wide[i].shape[0], : wide[i].shape[1]]
    pairs = zip(found, matrices, strict=True)
    return [turned.mT if matrix.shape[0] > matrix.shape[1] else turned for turned, matrix in pairs]
