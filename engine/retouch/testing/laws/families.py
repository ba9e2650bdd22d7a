"""What each family of stages promises: inversions, controls, guidance, masks, blends, windows.

A law makes its own world (retouch.testing.worlds) unless it is given one; keywords that it does not know are options
of the stage, or ports by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from retouch.core.attention import Act, AttentionControl, SiteCall
from retouch.core.awaited.resources import Codec
from retouch.core.declared.touches import Site, Touch
from retouch.core.errors import BrokenTouch
from retouch.core.guidance import predictor
from retouch.core.large.window import Window
from retouch.core.recorded import hold
from retouch.core.schedule import Level, Prediction
from retouch.core.values import AttentionMaps, Image, Mask, NoiseSource, Prompt
from retouch.core.walk import Blend, Guidance, Rule, Trajectory
from retouch.testing.laws.running import Stage, close, distance, ended, outcome, predictions, run_one, sampled
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World, gaussian_world, tiny_world


def source_law(invert: Stage, world: World | None = None, *, tolerance: float = 0.0, **options: Any) -> float:
    """The source branch ends at the picture, whatever becomes of the target.  Pinned inversions keep it bit for bit."""
    world = world or gaussian_world()
    ends: list[Tensor] = []
    spy = Blend(lambda state, source, step, maps: (ends.append(source[0]), state)[1])
    end = sampled(world, outcome(world, invert, options), blend=(spy,))
    return close(ends[-1] if ends else end.data, world.latents.data, tolerance, "the source branch misses the picture")


def replay_law(invert: Stage, world: World | None = None, *, tolerance: float, **options: Any) -> float:
    """Sampled with the source prompt under the guidance that it was made for, an inversion gives the picture back."""
    world = (world or gaussian_world()).null_edit()
    again = sampled(world, outcome(world, invert, options))
    return close(again.data, world.latents.data, tolerance, "the replay misses the picture")


def rule_law(rule: Rule, world: World | None = None, *, tolerance: float = 1e-3) -> float:
    """Held to any states at all, a rule walks through them: so every list of latents is a trajectory."""
    world = (world or tiny_world()).null_edit()
    like = rule.begin(world.latents.data)
    states = Draws(1).tensor(len(world.schedule) + 1, *like.shape).to(like)
    predict = predictor(world.guidance, world.model, world.edit.source, world.edit.negative)
    held = run_one(hold(rule, states, world.schedule, predict))
    again = sampled(world, Trajectory(world.schedule, states, held))
    return close(again.data, states[-1, 0].to(again.data), tolerance, "the held rule leaves the states")


def identity_law(attend: Stage, world: World | None = None, *, tolerance: float = 1e-4, **options: Any) -> float:
    """Where source and target are equal, a control changes nothing, at any step."""
    world = (world or tiny_world()).null_edit()
    control, x = world.call(attend, **options), world.latents.data
    acted, plain = (predictions(world, each, x, x) for each in ((control,), ()))
    return max(close(acted[row], plain[row], tolerance, f"equal rows differ at {row}") for row in plain)


def touch_law(attend: Stage, world: World | None = None, **options: Any) -> None:
    """Rows that no touch of the control names stay as they were, bit for bit, and so does the source branch."""
    world = world or tiny_world()
    control, x = world.call(attend, **options), world.latents.data
    named = {touch.rows for touch, _ in control.acts if touch.access != "read"}
    try:
        acted, plain = (predictions(world, each, x, x.flip(-1)) for each in ((control,), ()))
    except BrokenTouch as err:
        raise AssertionError(f"a row moved, and no touch names it: a control {err}") from err
    for (index, branch, role), before in plain.items():
        if branch == "source" or not named & {role, "*"}:
            said = f"row ({branch}, {role}) moved at step {index}, and no touch names it"
            assert torch.equal(acted[index, branch, role], before), said


def called_law(attend: Stage, world: World | None = None, **options: Any) -> Counter[int]:
    """Each function of a control is called somewhere; returns how often, by the number of its touch."""
    world = world or tiny_world()
    control, calls = world.call(attend, **options), Counter[int]()
    acts = tuple((touch, _counting(act, number, calls)) for number, (touch, act) in enumerate(control.acts))
    predictions(world, (AttentionControl(acts),), world.latents.data, world.latents.data.flip(-1))
    declared = getattr(attend, "retouch_stage", None)
    for number, (touch, _) in enumerate(control.acts):
        if not touch.acts_in(len(world.schedule)) and declared and _is_switched(declared.touches[number]):
            continue  # an option keeps it from acting
        if not touch.acts_in(len(world.schedule)):
            why = f"none of {len(world.schedule)} steps lies in its window"
        elif touch.what not in _TENSORS.get(touch.kind, ()):
            kinds = {kind: " ".join(whats) for kind, whats in _TENSORS.items()}
            why = f"'{touch.what}' is no tensor of a '{touch.kind}' site; there are: {kinds}"
        else:
            why = "no site of this network is like that: " + ", ".join(map(_site, world.model.core.sites))
        assert calls[number], f"touch {number} never acts ({touch}): {why}"
    assert calls, "these options keep every touch from acting; give others"
    return calls


def _is_switched(touch: Touch) -> bool:
    """Whether options say when it acts."""
    return bool(touch.when) or isinstance(touch.start, str) or isinstance(touch.until, str)


_ATTENTION = ("q", "k", "v", "qk", "kv", "probs", "out")
_TENSORS: Mapping[str, tuple[str, ...]] = {"self": _ATTENTION, "cross": _ATTENTION, "resnet": ("features",)}


def _counting(act: Act, number: int, calls: Counter[int]) -> Act:
    def counted(attn: SiteCall) -> None:
        calls[number] += 1
        act(attn)

    return counted


def _site(site: Site) -> str:
    return f"{site.place} {site.kind} {site.index} at scale {site.scale}"


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
                    f"mask {value:.0f} at step {step.index}, {dtype}: off by {distance(out, kept)}"
                )


def pixels_law(blend: Stage, world: World | None = None, **options: Any) -> None:
    """A blend of pictures gives the source where the mask is 0, and the edit where it is 1, bit for bit."""
    world = world or tiny_world()
    assert world.image
    assert world.source
    for value, kept in ((0.0, world.source), (1.0, world.image)):
        mask = replace(world.mask, data=torch.full_like(world.mask.data, value))
        found = outcome(replace(world, mask=mask), blend, options)
        assert torch.equal(found.data, kept.data), f"mask {value:.0f}: off by {distance(found.data, kept.data)}"


def mask_law(mask: Stage, world: World | None = None, **options: Any) -> Mask:
    """A mask lies in [0, 1] and fits the latents; one that reads the edit is empty where nothing is to change."""
    world = world or tiny_world()
    made: Mask = outcome(world, mask, options)
    data = made.data
    assert bool(torch.isfinite(data).all()), "the mask has values that are not numbers"
    assert data.min() >= 0, f"the mask goes down to {data.min():g}"
    assert data.max() <= 1, f"the mask goes up to {data.max():g}"
    assert made.on(world.latents).shape == world.latents.data.shape[-2:], "the mask does not fit the latents"
    if any("Edit" in str(parameter.annotation) for parameter in signature(mask).parameters.values()):
        empty: Mask = outcome(world.null_edit(), mask, options)
        assert not empty.data.any(), f"nothing is to change, and {empty.data.mean():.1%} is masked"
    return made


def paste_law(crop: Stage, paste: Stage, image: Image, mask: Mask, codec: Codec, **options: Any) -> Window:
    """A window put back as it was changes no bit; put back wholly changed, it changes the mask and nothing else.

    options: of `crop`.
    """
    window = ended(crop(image, mask, codec, **options))
    again = ended(paste(window.image, window))
    assert torch.equal(again.data, image.data), "a window that was not edited came back changed"
    edited = replace(window.image, data=1 - window.image.data.round())
    made, area = ended(paste(edited, window)), mask.pixels(*image.size)
    moved = (made.data != image.data).any(0)
    assert not moved[area == 0].any(), "something changed outside of the mask"
    assert moved[area == 1].double().mean() > 0.5, "the edit did not come back"
    assert made.alpha is image.alpha, "alpha is never edited"
    return window


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
        return run_one(by(model, x, level, prompt, negative)).pair

    def drawn(seed: int) -> Callable[[str, str], Prediction]:
        return lambda text, role: Prediction(
            NoiseSource(seed, f"{text}/{role}").normal(2, torch.zeros(2, 3, 3).double())
        )

    one, two = drawn(1), drawn(2)
    mixed = guided(guidance, lambda *row: one(*row).toward(two(*row), 0.3))
    affine = torch.lerp(guided(guidance, one), guided(guidance, two), 0.3)
    agreed = one("prompt", "cond")
    worst = close(mixed, affine, tolerance, "guidance is not affine")
    worst = max(worst, close(guided(guidance, lambda *_: agreed), agreed.pair, tolerance, "agreement is not kept"))
    if neutral:
        worst = max(worst, close(guided(neutral, one), agreed.pair, tolerance, "the neutral scale is not 'cond'"))
    return worst
