"""What every stage promises: the same bits again, its inputs as they were, and the rows that it declares."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from retouch.core.attention import AttentionControl
from retouch.core.declared.touches import Touch
from retouch.core.denoiser import Denoiser
from retouch.core.guidance import predictor, unguided
from retouch.core.schedule import Schedule
from retouch.core.values import AttentionMaps
from retouch.core.walk import Blend, Trajectory
from retouch.plugins import cost, discovery, registry
from retouch.plugins.signatures.agreement import differences
from retouch.plugins.stage import StageMark
from retouch.run.batching import Buckets
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.laws.running import (
    EXACT,
    Stage,
    bare,
    close,
    defaults,
    outcome,
    predictions,
    run_one,
    sampled,
    sampler,
    tensors,
)
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World, tiny_world


def repeat_law(stage: Stage, world: World | None = None, **given: Any) -> None:
    """The same inputs give the same bits, and no draw of the process's own random numbers is taken or set."""
    world = world or tiny_world()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0x7A57E)  # a stage that sets a seed of its own is seen, too
        before = _generators()
        first = effect(world, stage, given)
        moved = [name for name, state in _generators().items() if state != before[name]]
    assert not moved, f"it draws from the global generator of {moved[0]}; take a NoiseSource port instead"
    again = effect(world, stage, given)
    assert len(first) == len(again), f"the same inputs gave {len(first)} tensors, then {len(again)}"
    for one, two in zip(first, again, strict=True):
        same = one.shape == two.shape and one.dtype == two.dtype and torch.allclose(one, two, 0, 0, equal_nan=True)
        assert same, "the same inputs gave another result; what does it read that is no port of it?"


def untouched_law(stage: Stage, world: World | None = None, **given: Any) -> None:
    """No input is written to: others are given the very same tensors."""
    world = world or tiny_world()
    inputs = dict(_named(world))
    for name, each in given.items():
        inputs.update(_named(each, name))
    before = {name: (tensor._version, tensor.clone()) for name, tensor in inputs.items()}
    effect(world, stage, given)
    for name, tensor in inputs.items():
        version, bits = before[name]
        same = tensor._version == version and tensor.equal(bits)
        assert same, f"it wrote into its input '{name}'; make a new tensor, as by torch.where or clone()"


def batch_law(
    make: Callable[[int], Coroutine[Any, Any, Any]],
    *,
    company: Sequence[Callable[[int], Coroutine[Any, Any, Any]]] = (),
    buckets: Buckets = EXACT,
    tolerance: float = 0.0,
    count: int = 3,
    seed: int = 0,
) -> float:
    """Alone or among others, the same result: bit for bit where buckets are fixed, within `tolerance` otherwise.

    make: the coroutine of picture number i.
    company: other kinds of work that goes on beside it.
    """
    (alone,) = run(make(0), buckets=buckets)
    crowd = [(kind, i) for kind in (make, *company) for i in range(count)]
    random.Random(seed).shuffle(crowd)
    among = run(*(kind(i) for kind, i in crowd), buckets=buckets)[crowd.index((make, 0))]
    pairs = list(zip(tensors(alone), tensors(among), strict=True))
    return max(close(there, here, tolerance, "company changes the result") for here, there in pairs)


def rows_law(stage: Stage, world: World | None = None, *, facts: Mapping[str, Any] | None = None, **given: Any) -> int:
    """A stage evaluates as many rows as its `rows=` says.

    facts: what stages before it and the turn state: `guide`, `evaluations`, `pinned`, `readers`.
    """
    world = world or tiny_world()
    mark = mark_of(stage)
    least, most = cost.rows(mark.rows, scope_of(stage, world, facts, given))
    counted = count_rows(lambda: world.call(stage, **given))
    assert least <= counted <= most, f"'{mark.rows}' says {least} to {most} rows, and {counted} were evaluated"
    return counted


def guided_rows_law(guide: Stage, world: World | None = None, **given: Any) -> int:
    """A guided prediction evaluates as many rows as the fact `guide` says; 1 where nothing is said."""
    world = world or tiny_world()
    guidance = outcome(world, guide, given)
    said = mark_of(guide).facts.get("guide", 1)
    least, most = cost.rows(said, scope_of(guide, world, None, given))
    counted = count_rows(lambda: _guided(world, guidance))
    assert least <= counted <= most, f"the fact 'guide' says {said} rows a prediction, and {counted} were evaluated"
    return counted


def facts_law(invert: Stage, world: World | None = None, **given: Any) -> int:
    """What an inversion states (`steps`, `evaluations`, `beside`, `pinned`) is what sampling then costs."""
    world = world or tiny_world()
    trajectory: Trajectory = outcome(world, invert, given)
    scope = scope_of(invert, world, {"guide": 1}, given)
    facts = {name: cost.evaluate(said, scope) for name, said in mark_of(invert).facts.items()}
    steps, taken = int(facts.get("steps", len(world.schedule))), len(trajectory.schedule)
    assert steps == taken, f"the fact 'steps' says {steps}, and the trajectory has {taken}"
    assert "evaluations" in facts, (
        "it states no fact 'evaluations', the guided predictions that its rule asks for a step"
    )
    sample = sampler()
    least, most = cost.rows(mark_of(sample).rows, {**defaults(sample), "guide": 1, **facts, "steps": steps})
    counted = count_rows(lambda: world.call(sample, trajectory=trajectory))
    assert least <= counted <= most, (
        f"its facts say that {steps} steps cost {least} to {most} rows, and {counted} were evaluated"
    )
    pinned = bool(trajectory.pinned is not False)
    assert "pinned" not in facts or bool(facts["pinned"]) == pinned, (
        f"the fact 'pinned' says {bool(facts['pinned'])}, and the trajectory says {trajectory.pinned}"
    )
    return counted


def cards_law(plugin: str) -> None:
    """What the syntax tree of a plugin's package says is what its hooks register, and every card is readable."""
    read = registry.load([discovery.Plugin(plugin, plugin)])
    assert not read.faults, f"a card cannot be read: {read.faults[0].code} {dict(read.faults[0].facts)}"
    manager, faults = discovery.load([discovery.Plugin(plugin, plugin)])
    assert not faults, f"the plugin cannot be imported: {dict(faults[0].facts)}"
    functions = [function for group in manager.hook.retouch_stages() for function in group]
    registered = {(f.retouch_stage.family, f.retouch_stage.method) for f in functions}
    cards = {(card.family, card.method) for card in read.cards}
    assert cards == registered, f"read but not registered, or registered but not read: {sorted(cards ^ registered)}"
    wrong = [f"{card.name}: {said}" for card in read.cards for said in differences(card, read.function(card))]
    assert not wrong, wrong[0]


def mark_of(stage: Stage) -> StageMark:
    """What `@stage` said of a function."""
    mark = getattr(stage, "retouch_stage", None)
    assert mark, f"'{getattr(stage, '__name__', stage)}' is no stage; mark it with @stage(family, method)"
    return mark


def scope_of(stage: Stage, world: World, facts: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What expressions of a card may name."""
    ports = signature(stage).parameters.values()
    flows = dict.fromkeys((port.name for port in ports if bare(port) == "Turn"), 1)  # a world's flow takes one row
    height, width = world.latents.size
    picture = {"height": height, "width": width, "side": max(height, width)}
    guided = {"guide": 1} if world.guidance is unguided else {}
    told = {"steps": len(world.schedule), **guided, **flows, **picture}
    return {**told, **defaults(stage), **(facts or {}), **given}


def count_rows(start: Callable[[], Any]) -> int:
    """The rows that were evaluated for this work.  Raises what it raises."""
    task = Task(start)
    Executor().run([task])
    if task.error:
        raise task.error
    return task.rows


def effect(world: World, stage: Stage, given: Mapping[str, Any]) -> list[Tensor]:
    """What a stage comes to, as tensors; what it made is used once, where that is a function or holds some."""
    made = outcome(world, stage, given)
    x, step = world.latents.data, world.schedule.steps[len(world.schedule) // 2]
    found: Any = made
    match made:
        case AttentionControl():
            found = predictions(world, (made,), x, x.flip(-1))
        case Trajectory():
            found = made, sampled(world, made)
        case Blend():
            state, source = Draws(1).tensor(2, 2, *x.shape).to(x)
            maps = _maps(made.reads, world) if made.reads else AttentionMaps()
            found = [made.apply(state, source, each, maps) for each in world.schedule]
        case Schedule():
            found = torch.tensor([[level.timestep, level.alpha, level.sigma] for level in made.levels])
        case Denoiser():
            found = run_one(_guided(replace(world, model=made), world.guidance))
        case _ if hasattr(made, "begin"):  # a rule
            predict = predictor(world.guidance, world.model, world.edit.source, world.edit.negative)
            found = run_one(made(made.begin(x), step, predict))
        case _ if callable(made):
            found = run_one(_guided(world, made))
    return list(tensors(found))


def _maps(reads: Touch, world: World) -> AttentionMaps:
    """Maps of random numbers, as a blend would have recorded them."""
    cells, side = world.latents.data.shape[-2:], int(reads.scale[0])
    queries, draws = -(-cells[0] // side) * -(-cells[1] // side), Draws(3)
    keys = len(world.edit.source.embeds) if reads.kind == "cross" else queries
    branches = (("source", "cond"), ("target", "cond"))
    return AttentionMaps({role: draws.tensor(queries, keys).softmax(-1) for role in branches}, 1)


def _guided(world: World, guidance: Callable[..., Any]) -> Any:
    step = world.schedule.steps[len(world.schedule) // 2]
    return guidance(world.model, world.latents.data, step.noisy, world.edit.target, world.edit.negative)


def _generators() -> dict[str, Any]:
    """The states of the process's random numbers."""
    import numpy as np

    kind, keys, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (kind, np.asarray(keys).tobytes(), *rest),
        "random": random.getstate(),
    }


def _named(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a world, by the path to it; the network's weights too."""
    match value:
        case Tensor():
            yield name, value
        case Mapping():
            for key, each in value.items():
                yield from _named(each, f"{name}[{key!r}]")
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from _named(getattr(value, each.name), f"{name}.{each.name}".strip("."))
        case _ if hasattr(value, "base") and hasattr(value, "forward"):
            yield from _named(value.base, f"{name}.base")
        case _:
            return
