"""What a stranger's stage hands on for others to call: asked for what it promises, where it is called.

Whoever calls it is not to blame for it.  So what it raises, and what it makes of finite numbers that is not finite,
carries the stage that made it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from retouch.core.attention import Act, AttentionControl, SiteCall
from retouch.core.recorded import Recorded
from retouch.core.schedule import Prediction
from retouch.core.walk import Blend, Guidance, Trajectory
from retouch.graph.nodes import Node
from retouch.run.strangers.wrong_results import WrongResult, described

Note = Callable[[Node, Iterable[Tensor], Iterable[Tensor]], None]
"""Keeps, of the stage that made a function, whether what it was given and what it made of that are finite."""


def guarded(value: Any, maker: Node, note: Note) -> Any:
    """The same value, with the functions in it asked for what they promise."""
    match value:
        case Blend():
            return replace(value, apply=_blending(value.apply, maker, note))
        case Trajectory():
            return replace(value, rule=_walking(value.rule, maker, note))
        case AttentionControl():
            return AttentionControl(tuple((touch, _acting(act, maker, note)) for touch, act in value.acts))
        case _ if inspect.isroutine(value):
            return _guiding(value, maker, note)
        case _ if callable(value) and callable(getattr(value, "begin", None)):
            return _walking(value, maker, note)
        case _:
            return value


def _walking(rule: Any, maker: Node, note: Note) -> Any:
    """A rule that is asked; of one of the engine's, what it has within."""
    if isinstance(rule, Recorded):
        return replace(rule, rule=_walking(rule.rule, maker, note))
    ours = type(rule).__module__.partition(".")[0] == "retouch"
    return rule if ours or isinstance(rule, _Walking) else _Walking(rule, maker, note)


def _guiding(guidance: Callable[..., Any], maker: Node, note: Note) -> Guidance:
    async def guided(model: Any, x: Tensor, level: Any, prompt: Any, negative: Any) -> Prediction:
        seen = [x]

        async def asked_model(*args: Any, **kwargs: Any) -> Prediction:
            said = await model(*args, **kwargs)
            seen.append(said.pair)
            return said

        # Both branches may begin with one tensor, so it is given its own.
        asked: Any = guidance(asked_model, x.clone(), level, prompt, negative)
        if not isinstance(asked, Awaitable):
            raise WrongResult("a guidance that is an async function", described(asked), maker)
        made: Any = await asked
        if not isinstance(made, Prediction):
            raise WrongResult("a guidance that returns a Prediction", described(made), maker)
        if not isinstance(made.pair, Tensor) or made.pair.shape != (2, *x.shape):
            form = f"a guidance whose Prediction is {[2, *x.shape]}"
            got = f"one of {list(made.pair.shape)}" if isinstance(made.pair, Tensor) else described(made.pair)
            raise WrongResult(form, got, maker)
        note(maker, seen, [made.pair])
        return made

    return guided


class _Walking:
    """A stranger's rule: what it makes of a state is one."""

    def __init__(self, rule: Any, maker: Node, note: Note) -> None:
        self._rule, self._maker, self._note = rule, maker, note

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # of itself, while it is copied
            raise AttributeError(name)
        return getattr(self._rule, name)

    def begin(self, x: Tensor) -> Tensor:
        made: Any = self._rule.begin(x.clone())
        if not isinstance(made, Tensor) or made.shape[1:] != x.shape or made.dtype != x.dtype:
            form = f"a rule whose begin(x) returns a state {['k', *x.shape]} as {x.dtype}"
            raise WrongResult(form, described(made), self._maker)
        self._note(self._maker, [x], [made])
        return made

    async def __call__(self, state: Tensor, step: Any, predict: Any) -> Tensor:
        seen = [state]

        async def predicted(*args: Any, **kwargs: Any) -> Prediction:
            said = await predict(*args, **kwargs)
            seen.append(said.pair)
            return said

        asked: Any = self._rule(state.clone(), step, predicted)
        made: Any = await asked if isinstance(asked, Awaitable) else asked
        if not isinstance(made, Tensor) or made.shape != state.shape or made.dtype != state.dtype:
            form = f"a rule whose async call returns a state {list(state.shape)} as {state.dtype}"
            raise WrongResult(form, described(made), self._maker)
        self._note(self._maker, seen, [made])
        return made


def _blending(apply: Callable[..., Tensor], maker: Node, note: Note) -> Callable[..., Tensor]:
    def blended(state: Tensor, source: Tensor, step: Any, maps: Any) -> Tensor:
        made: Any = apply(state.clone(), source.clone(), step, maps)
        if not isinstance(made, Tensor) or made.shape != state.shape or made.dtype != state.dtype:
            form = f"a blend that returns a state {list(state.shape)} as {state.dtype}"
            raise WrongResult(form, described(made), maker)
        note(maker, [state, source], [made])
        return made

    return blended


def _acting(act: Act, maker: Node, note: Note) -> Act:
    @wraps(act)
    def acted(attn: SiteCall) -> None:
        # What it may write is written in place, so what it was given is looked at before.
        given = [each for each in attn._tensors.values() if isinstance(each, Tensor)]  # pyright: ignore[reportPrivateUsage]
        before = finite(given)
        act(attn)
        if before is not None:
            note(maker, [torch.where(before, 0.0, torch.nan)], given)

    return acted


def finite(tensors: Iterable[Tensor]) -> Tensor | None:
    """Whether [] all of them hold nothing but numbers; None for none of them.  No device is waited for."""
    flags = [torch.isfinite(each).all() for each in tensors if each.is_floating_point()]
    return torch.stack([flag.to(flags[0].device) for flag in flags]).all() if flags else None


def no_worse(given: Iterable[Tensor], made: Iterable[Tensor]) -> Tensor | None:
    """Whether [] what was made is finite, or what it was made of was not either; None where nothing was made."""
    before, after = finite(given), finite(made)
    return after if before is None or after is None else after | ~before.to(after.device)
