"""What laws run stages with: one picture, one call size, and how far two tensors are apart."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor

from retouch.core.attention import AttentionControl
from retouch.core.awaited.combinators import gather, together
from retouch.core.schedule import Level, Prediction, Step
from retouch.core.values import Latents, Prompt
from retouch.core.walk import Trajectory
from retouch.plugins import registry
from retouch.run.batching import Buckets
from retouch.run.executor import run
from retouch.testing.worlds import World

Stage = Callable[..., Any]
EXACT = Buckets(fixed=16)


def predictions(
    world: World, attention: tuple[AttentionControl, ...], source: Tensor, target: Tensor
) -> dict[tuple[int, str, str], Tensor]:
    """Predictions of both branches, with and without condition, at every step, in calls of one size."""
    edit = world.edit

    async def asked(x: Tensor, level: Level, prompt: Prompt) -> Mapping[str, Prediction]:
        return await together(
            uncond=world.model(x, level, edit.negative, role="uncond"), cond=world.model(x, level, prompt)
        )

    def at(step: Step) -> Coroutine[Any, Any, Any]:
        return together(
            attention=attention,
            step=step,
            source=asked(source, step.noisy, edit.source),
            target=asked(target, step.noisy, edit.target),
        )

    (found,) = run(gather(at(step) for step in world.schedule), buckets=EXACT)
    return {
        (index, branch, role): pred.pair
        for index, branches in enumerate(found)
        for branch, roles in branches.items()
        for role, pred in roles.items()
    }


def run_one(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of one coroutine."""
    return run(coroutine)[0]


def outcome(world: World, stage: Stage, options: Mapping[str, Any]) -> Any:
    """What a stage makes in this world."""
    return ended(world.call(stage, **options))


def ended(made: Any) -> Any:
    """What a stage gave, whether it is a plain function or an async one."""
    return run_one(made) if isinstance(made, Coroutine) else made


def sampled(world: World, trajectory: Trajectory, **ports: Any) -> Latents:
    """The trajectory, walked by the sampler that recipes use."""
    return run_one(world.call(sampler(), trajectory=trajectory, **ports))


@cache
def sampler() -> Stage:
    """The stage that walks trajectories in recipes."""
    stages = registry.load()
    card = stages.default("sample")
    assert card, "no plugin is installed that samples"
    return stages.function(card)


def bare(parameter: Parameter) -> str:
    """The name of a port's type."""
    said = parameter.annotation
    return (said if isinstance(said, str) else getattr(said, "__name__", "")).rpartition(".")[2]


def defaults(stage: Stage) -> dict[str, Any]:
    """The options that a stage has of itself."""
    return dict(getattr(stage, "__wrapped__", stage).__kwdefaults__ or {})


def distance(out: Tensor, wanted: Tensor) -> float:
    """The greatest difference of two tensors."""
    return float((out.double() - wanted.double()).abs().max()) if out.numel() else 0.0


def close(out: Tensor, wanted: Tensor, tolerance: float, said: str) -> float:
    """The greatest difference; at tolerance 0 nothing less than the same bits will do."""
    away = distance(out, wanted)
    same = torch.equal(out, wanted) if tolerance == 0 else away <= tolerance
    assert same, f"{said}: off by {away:.3g}, and {tolerance:g} is allowed"
    return away


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in a stage's result, in a fixed order."""
    match value:
        case Tensor():
            yield value
        case Prediction():
            yield value.pair
        case Mapping():
            for each in value.values():
                yield from tensors(each)
        case list() | tuple():
            for each in value:
                yield from tensors(each)
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from tensors(getattr(value, each.name))
        case _:
            return
