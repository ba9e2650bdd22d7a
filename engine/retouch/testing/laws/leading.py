"""What a guidance by gradient promises: it leads the target's way alone, by the gradient of what it says it wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from retouch.core.gradient_guidance import GradientGuidance, Predicted, leading
from retouch.core.schedule import Level, Prediction, Step
from retouch.core.walk import Guidance
from retouch.plugins import cost
from retouch.testing.laws.conduct import count_rows, mark_of, scope_of
from retouch.testing.laws.running import Stage, distance, outcome, run_one
from retouch.testing.worlds import World, tiny_world

APART = 1e-5  # of the two pictures that a difference is taken of
NOTHING = 1e-9  # what rounding comes to


def leading_law(guide: Stage, world: World | None = None, *, tolerance: float = 1e-4, **given: Any) -> float:
    """Held to differences of its losses, a guidance moves the mean of a DDPM step by variance times gradient.

    It asks as many rows as it says, gives the same bits again, moves something, and leaves the source's way as it is.

    tolerance: how far the slope along the gradient may be from what was found, as a share of it.
    """
    world = world or tiny_world(steps=4, dtype=torch.float64)
    made = outcome(world, guide, given)
    assert isinstance(made, GradientGuidance), "it leads nothing; give back with_loss(guidance, Loss(…), codec)"
    before, step = world.schedule.steps[1:3]
    x = world.latents.data
    led = leading(made, world.edit.target)
    _asked(world, led, x, before.noisy)  # what it remembers of a step counts at the next
    remembered = [dict(each) for each in led.memories]  # pyright: ignore[reportFunctionMemberAccess]
    least, most = cost.rows(mark_of(guide).facts.get("guide", 1), scope_of(guide, world, None, given))
    rows = count_rows(lambda: led(world.model, x, step.noisy, world.edit.target, world.edit.negative))
    assert least <= rows <= most, f"the fact 'guide' says {most} rows a prediction, and {rows} were evaluated"
    pred, plain = _at_second(world, made, x, before, step), _asked(world, made.base, x, step.noisy)
    assert torch.equal(pred.pair, _at_second(world, made, x, before, step).pair), "the same step gave other bits"
    of_source = run_one(led(world.model, x, step.noisy, world.edit.source, world.edit.negative))
    kept = run_one(made.base(world.model, x, step.noisy, world.edit.source, world.edit.negative))
    assert torch.equal(of_source.pair, kept.pair), "it leads the source's way, too"
    shifted = step.mean(pred.x0, pred.eps, 1.0) - step.mean(plain.x0, plain.eps, 1.0)
    grad = -shifted / step.fresh(1.0) ** 2
    assert distance(grad, torch.zeros_like(grad)) > NOTHING, (
        "it moves nothing; hold it to options with which its loss wants something of a small random picture"
    )
    along = grad / grad.norm()

    def slope() -> float:
        ends = [_missed(world, made, x + way * APART * along, x, step.noisy, remembered) for way in (1, -1)]
        return (ends[0] - ends[1]) / (2 * APART)

    off = abs(slope() / float(grad.norm()) - 1)
    assert off <= tolerance, f"the slope of its loss is off by {off:.3g} of the gradient, and {tolerance:g} is allowed"
    return off


def _asked(world: World, guidance: Guidance, x: Tensor, level: Level) -> Prediction:
    return run_one(guidance(world.model, x, level, world.edit.target, world.edit.negative))


def _at_second(world: World, made: GradientGuidance, x: Tensor, before: Step, step: Step) -> Prediction:
    """The prediction at a step of a walk of its own."""
    led = leading(made, world.edit.target)
    _asked(world, led, x, before.noisy)
    return _asked(world, led, x, step.noisy)


def _missed(
    world: World,
    made: GradientGuidance,
    x: Tensor,
    at: Tensor,
    level: Level,
    remembered: Sequence[Mapping[str, Any]],
) -> float:
    """The sum of all losses.  x, at: Tensor  # [C, h, w], where they are asked, and where noise is predicted for x0"""

    async def total() -> float:
        found = 0.0
        for loss, memory in zip(made.losses, remembered, strict=True):
            by = x if loss.through == "network" else at
            pred = await made.base(world.model, by, level, world.edit.target, world.edit.negative)
            seen = Predicted(x, level.denoised(x, pred.eps), level, made.codec, dict(memory))
            found += loss.weight * float(await loss.of(seen))
        return found

    return run_one(total())
