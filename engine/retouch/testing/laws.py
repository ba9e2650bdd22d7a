"""The laws that stages keep, whoever wrote them.  What breaks one raises AssertionError, which says by how much.

    from retouch.testing import laws
    from my_plugin import my_inversion

    def test_the_source_ends_at_the_picture():
        laws.source_law(my_inversion, tolerance=1e-5)

A law makes its own world (retouch.testing.worlds) unless it is given one; keywords that it does not know are options
of the stage, or ports by name.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from retouch.core.attention import Act, AttentionControl, SiteCall
from retouch.core.combinators import gather, together
from retouch.core.errors import BrokenTouch
from retouch.core.guidance import predictor
from retouch.core.recorded import hold
from retouch.core.resources import Codec
from retouch.core.schedule import Level, Prediction, Step
from retouch.core.values import AttentionMaps, Image, Latents, Mask, NoiseSource, Prompt
from retouch.core.walk import Blend, Guidance, Rule, Trajectory
from retouch.core.window import Window
from retouch.plugins import cost, discovery, registry
from retouch.plugins.signatures.agreement import differences
from retouch.run.batching import Buckets
from retouch.run.executor import Executor, Task, run
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World, gaussian_world, tiny_world

Stage = Callable[..., Any]
EXACT = Buckets(fixed=16)


def source_law(invert: Stage, world: World | None = None, *, tolerance: float = 0.0, **options: Any) -> float:
    """The source branch ends at the picture, whatever becomes of the target.  Pinned inversions keep it bit for bit."""
    world = world or gaussian_world()
    ends: list[Tensor] = []
    spy = Blend(lambda state, source, step, maps: (ends.append(source[0]), state)[1])
    _sampled(world, _made(world, invert, options), blend=(spy,))
    return _close(ends[-1], world.latents.data, tolerance, "the source branch misses the picture")


def replay_law(invert: Stage, world: World | None = None, *, tolerance: float, **options: Any) -> float:
    """Sampled with the source prompt under the guidance that it was made for, an inversion gives the picture back."""
    world = (world or gaussian_world()).null_edit()
    again = _sampled(world, _made(world, invert, options))
    return _close(again.data, world.latents.data, tolerance, "the replay misses the picture")


def rule_law(rule: Rule, world: World | None = None, *, tolerance: float = 1e-3) -> float:
    """Held to any states at all, a rule walks through them: so every list of latents is a trajectory."""
    world = (world or tiny_world()).null_edit()
    like = rule.begin(world.latents.data)
    states = Draws(1).tensor(len(world.schedule) + 1, *like.shape).to(like)
    predict = predictor(world.guidance, world.model, world.edit.source, world.edit.negative)
    held = _run(hold(rule, states, world.schedule, predict))
    again = _sampled(world, Trajectory(world.schedule, states, held))
    return _close(again.data, states[-1, 0].to(again.data), tolerance, "the held rule leaves the states")


def identity_law(attend: Stage, world: World | None = None, *, tolerance: float = 1e-4, **options: Any) -> float:
    """Where source and target are equal, a control changes nothing, at any step."""
    world = (world or tiny_world()).null_edit()
    (control, called), x = _counted(world.call(attend, **options)), world.latents.data
    acted, plain = (_rows(world, each, x, x) for each in ((control,), ()))
    _all_called(control, called, world)
    return max(_close(acted[row], plain[row], tolerance, f"equal rows differ at {row}") for row in plain)


def touch_law(attend: Stage, world: World | None = None, **options: Any) -> None:
    """Rows that no touch of the control names stay as they were, bit for bit, and so does the source branch."""
    world = world or tiny_world()
    (control, called), x = _counted(world.call(attend, **options)), world.latents.data
    named = {touch.rows for touch, _ in control.acts if touch.access != "read"}
    try:
        acted, plain = (_rows(world, each, x, x.flip(-1)) for each in ((control,), ()))
    except BrokenTouch as err:
        raise AssertionError(f"a row moved, and no touch names it: a control {err}") from err
    _all_called(control, called, world)
    for (index, branch, role), before in plain.items():
        if branch == "source" or not named & {role, "*"}:
            said = f"row ({branch}, {role}) moved at step {index}, and no touch names it"
            assert torch.equal(acted[index, branch, role], before), said


def blend_law(blend: Stage, world: World | None = None, **options: Any) -> None:
    """Mask 1 is the identity and mask 0 the source, bit for bit, for all latents of the state."""
    world = world or tiny_world()
    shape = (2, *world.latents.data.shape)
    for dtype in (torch.float32, torch.float64):
        state, source = Draws(1, dtype).tensor(*shape), Draws(2, dtype).tensor(*shape)
        for value, kept in ((1.0, state), (0.0, source)):
            mask = replace(world.mask, data=torch.full_like(world.mask.data, value))
            made: Blend = replace(world, mask=mask).call(blend, **options)
            for step in world.schedule:
                out = made.apply(state, source, step, AttentionMaps())
                assert torch.equal(out, kept), (
                    f"mask {value:.0f} at step {step.index}, {dtype}: off by {_far(out, kept)}"
                )


def mask_law(mask: Stage, world: World | None = None, **options: Any) -> Mask:
    """A mask lies in [0, 1] and fits the latents; one that reads the edit is empty where nothing is to change."""
    world = world or tiny_world()
    made: Mask = _made(world, mask, options)
    data = made.data
    assert bool(torch.isfinite(data).all()), "the mask has values that are not numbers"
    assert data.min() >= 0, f"the mask goes down to {data.min():g}"
    assert data.max() <= 1, f"the mask goes up to {data.max():g}"
    assert made.on(world.latents).shape == world.latents.data.shape[-2:], "the mask does not fit the latents"
    if any("Edit" in str(parameter.annotation) for parameter in signature(mask).parameters.values()):
        empty: Mask = _made(world.null_edit(), mask, options)
        assert not empty.data.any(), f"nothing is to change, and {empty.data.mean():.1%} is masked"
    return made


def paste_law(crop: Stage, paste: Stage, image: Image, mask: Mask, codec: Codec, **options: Any) -> Window:
    """A window put back as it was changes no bit; put back wholly changed, it changes the mask and nothing else.

    options: of `crop`.
    """
    window = _ended(crop(image, mask, codec, **options))
    again = _ended(paste(window.image, window))
    assert torch.equal(again.data, image.data), "a window that was not edited came back changed"
    edited = replace(window.image, data=1 - window.image.data.round())
    made, area = _ended(paste(edited, window)), mask.pixels(*image.size)
    moved = (made.data != image.data).any(0)
    assert not moved[area == 0].any(), "something changed outside of the mask"
    assert moved[area == 1].double().mean() > 0.5, "the edit did not come back"
    assert made.alpha is image.alpha, "alpha is never edited"
    return window


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
    pairs = list(zip(_tensors(alone), _tensors(among), strict=True))
    return max(_close(there, here, tolerance, "company changes the result") for here, there in pairs)


def guidance_law(guidance: Guidance, *, neutral: Guidance | None = None, tolerance: float = 1e-5) -> float:
    """Guidance is affine in predictions, keeps one on which all rows agree, and at its neutral scale is `cond`.

    neutral: the same guidance at the scale that leaves the conditional prediction alone.
    """

    def guided(by: Guidance, answers: Callable[[str, str], Prediction]) -> Tensor:
        async def model(
            x: Tensor,
            level: Level,
            prompt: Prompt,
            *,
            timestep: float | None = None,
            role: str = "cond",
            told: Mapping[str, float] | None = None,
        ) -> Prediction:
            return answers(prompt.text, role)

        x, level = torch.zeros(2, 3, 3, dtype=torch.float64), Level(500, 0.6, 0.8)
        prompt, negative = (Prompt(text, torch.zeros(1, 1)) for text in ("prompt", "negative"))
        return _run(by(model, x, level, prompt, negative)).pair

    def drawn(seed: int) -> Callable[[str, str], Prediction]:
        return lambda text, role: Prediction(
            NoiseSource(seed, f"{text}/{role}").normal(2, torch.zeros(2, 3, 3).double())
        )

    one, two = drawn(1), drawn(2)
    mixed = guided(guidance, lambda *row: one(*row).toward(two(*row), 0.3))
    affine = torch.lerp(guided(guidance, one), guided(guidance, two), 0.3)
    agreed = one("prompt", "cond")
    worst = _close(mixed, affine, tolerance, "guidance is not affine")
    worst = max(worst, _close(guided(guidance, lambda *_: agreed), agreed.pair, tolerance, "agreement is not kept"))
    if neutral:
        worst = max(worst, _close(guided(neutral, one), agreed.pair, tolerance, "the neutral scale is not 'cond'"))
    return worst


def rows_law(stage: Stage, world: World | None = None, *, facts: Mapping[str, Any] | None = None, **given: Any) -> int:
    """A stage evaluates as many rows as its `rows=` says.

    facts: what stages before it and the turn state: `guide`, `evaluations`, `pinned`, `readers`.
    """
    world = world or tiny_world()
    mark = stage.retouch_stage  # pyright: ignore[reportFunctionMemberAccess]
    scope = {"steps": len(world.schedule), **_defaults(stage), **(facts or {}), **given}
    least, most = cost.rows(mark.rows, scope)
    task = Task(lambda: world.call(stage, **given))
    Executor().run([task])
    if task.error:
        raise task.error
    assert least <= task.rows <= most, f"'{mark.rows}' says {least} to {most} rows, and {task.rows} were evaluated"
    return task.rows


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


def _rows(
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


def _counted(control: AttentionControl) -> tuple[AttentionControl, list[int]]:
    """The control, and how often each of its functions is called."""
    calls = [0] * len(control.acts)

    def counting(place: int, act: Act) -> Act:
        @wraps(act)
        def counted(site: SiteCall) -> None:
            calls[place] += 1
            act(site)

        return counted

    acts = tuple((touch, counting(i, act)) for i, (touch, act) in enumerate(control.acts))
    return AttentionControl(acts), calls


def _all_called(control: AttentionControl, calls: Sequence[int], world: World) -> None:
    """A control that is never called changes nothing, and keeps every other law."""
    for (touch, _), count in zip(control.acts, calls, strict=True):
        assert count or not touch.acts_in(len(world.schedule)), f"never called, since no site is one of: {touch}"


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return run(coroutine)[0]


def _made(world: World, stage: Stage, options: Mapping[str, Any]) -> Any:
    return _ended(world.call(stage, **options))


def _ended(made: Any) -> Any:
    """What a stage gave, whether it is a plain function or an async one."""
    return _run(made) if isinstance(made, Coroutine) else made


def _sampled(world: World, trajectory: Trajectory, **ports: Any) -> Latents:
    """The trajectory, walked by the sampler that recipes use."""
    stages = registry.load()
    card = stages.default("sample")
    assert card, "no plugin is installed that samples"
    return _run(world.call(stages.function(card), trajectory=trajectory, **ports))


def _defaults(stage: Stage) -> dict[str, Any]:
    return dict(getattr(stage, "__wrapped__", stage).__kwdefaults__ or {})


def _far(out: Tensor, wanted: Tensor) -> float:
    return float((out.double() - wanted.double()).abs().max())


def _close(out: Tensor, wanted: Tensor, tolerance: float, said: str) -> float:
    """The greatest difference; at tolerance 0 nothing less than the same bits will do."""
    far = _far(out, wanted)
    same = torch.equal(out, wanted) if tolerance == 0 else far <= tolerance
    assert same, f"{said}: off by {far:.3g}, and {tolerance:g} is allowed"
    return far


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in a stage's result, in a fixed order."""
    match value:
        case Tensor():
            yield value
        case Prediction():
            yield value.pair
        case Mapping():
            for each in value.values():
                yield from _tensors(each)
        case list() | tuple():
            for each in value:
                yield from _tensors(each)
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from _tensors(getattr(value, each.name))
        case _:
            return
