"""What diffusion transformers share: sites of joint attention, and the schedules of rectified flow.  No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retouch.core.declared.touches import Kind, Site, with_depth

if TYPE_CHECKING:
    from retouch.core.schedule import Schedule


def joint_sites(
    blocks: Sequence[str], scale: int, *, attention: str = "attn", apart: Iterable[str] = ()
) -> tuple[Site, ...]:
    """List the attention of each block: the picture's own, and what the picture reads of the text.

    blocks: module paths, in forward order; the first half of them counts as "down", the other as "up".
    scale: latent cells along one side of a token.
    attention: the module in a block whose attention is joint.
    apart: module paths where the picture attends to itself alone, beside a joint attention or in its place.
    """
    apart, found = list(apart), list[Site]()
    count: dict[Kind, int] = {"self": 0, "cross": 0}

    def add(name: str, kind: Kind, block: int, *, joint: bool) -> None:
        place = "down" if 2 * block < len(blocks) else "up"
        found.append(Site(name, kind, place, count[kind], scale, joint=joint))
        count[kind] += 1

    for i, block in enumerate(blocks):
        if f"{block}.{attention}" not in apart:
            add(f"{block}.{attention}", "self", i, joint=True)
            add(f"{block}.{attention}", "cross", i, joint=True)
        for name in apart:
            if name.startswith(f"{block}."):
                add(name, "self", i, joint=False)
    return with_depth(found)


def flow_schedule(
    config: Mapping[str, Any], steps: int, tokens: int, *, mu: float | None = None, last: str = "one_step"
) -> Schedule:
    """Return the grid of diffusers' FlowMatchEulerDiscreteScheduler as pipelines call it.

    config: of the scheduler.
    tokens: of the picture, on which a dynamic shift depends; mu: that shift itself, where a family computes another.
    last: "one_step" spaces the unshifted sigmas from 1 to 1 / steps, "trained" to the least that was trained.
    """
    from retouch.core.schedule import Level, Schedule

    trained = config.get("num_train_timesteps", 1000)
    dynamic = config.get("use_dynamic_shifting", False)
    exponential = config.get("time_shift_type", "exponential") == "exponential"
    shift = config.get("shift", 1.0)
    if dynamic:
        shift = mu if mu is not None else _dynamic_shift(config, tokens)
        shift = math.exp(shift) if exponential else shift

    def shifted(sigma: float) -> float:
        if dynamic:
            return shift / (shift + (1 / sigma - 1))
        return shift * sigma / (1 + (shift - 1) * sigma)

    least = 1 / steps
    if last == "trained":
        least = 1 / trained if dynamic else shifted(1 / trained)
    sigmas = [shifted(1 + (least - 1) * i / max(steps - 1, 1)) for i in range(steps)]
    if terminal := config.get("shift_terminal"):
        stretch = (1 - sigmas[-1]) / (1 - terminal)
        sigmas = [1 - (1 - sigma) / stretch for sigma in sigmas]
    return Schedule.through([Level(trained * sigma, 1 - sigma, sigma, flow=True) for sigma in (*sigmas, 0.0)])


def _dynamic_shift(config: Mapping[str, Any], tokens: int) -> float:
    """The line through (base_image_seq_len, base_shift) and (max_image_seq_len, max_shift)."""
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    base = config.get("base_shift", 0.5)
    slope = (config.get("max_shift", 1.15) - base) / (high - low)
    return slope * tokens + base - slope * low
