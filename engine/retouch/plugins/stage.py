"""The mark that makes a function a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import signature
from typing import Any, Literal, TypeVar

from retouch.core.attention import AttentionControl
from retouch.core.declared.demands import Moot, Need
from retouch.core.declared.touches import Touch
from retouch.core.schedule import PredictionKind

F = TypeVar("F", bound=Callable[..., Any])
Stability = Literal["stable", "experimental"]
Words = Literal["needed", "own", ""]


@dataclass(frozen=True, slots=True)
class StageMark:
    """What `@stage` says of a function; the signature says the rest."""

    family: str
    method: str
    paper: str
    version: int = 1
    api: int = 1
    stability: Stability = "stable"
    default: bool = False
    touches: tuple[Touch, ...] = ()
    reads: tuple[Touch, ...] = ()
    rows: int | str = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    moot: tuple[Moot, ...] = ()
    predicts: tuple[PredictionKind, ...] = ()
    told: tuple[str, ...] = ()
    instead: str = ""
    weights: tuple[str, ...] = ()
    pretrained: tuple[str, ...] = ()
    words: Words = ""
    side: int = 0
    prompts: str = ""
    folder: str = ""
    tensors: str = ""


def stage(
    family: str,
    method: str,
    *,
    paper: str = "",
    version: int = 1,
    api: int = 1,
    stability: Stability = "stable",
    default: bool = False,
    touches: tuple[Touch, ...] = (),
    reads: tuple[Touch, ...] = (),
    rows: int | str = 0,
    facts: Mapping[str, Any] | None = None,
    needs: tuple[Need, ...] = (),
    moot: tuple[Moot, ...] = (),
    predicts: tuple[PredictionKind, ...] = (),
    told: tuple[str, ...] = (),
    instead: str = "",
    weights: tuple[str, ...] = (),
    pretrained: tuple[str, ...] = (),
    words: Words = "",
    side: int = 0,
    prompts: str = "",
    folder: str = "",
    tensors: str = "",
) -> Callable[[F], F]:
    """Mark a function at the top of a module as the stage `family method`.

    Positional parameters are ports, wired by their types; keyword-only ones are the recipe's options.  All arguments
    and defaults are literals, or names of such here or in another module of the package, since recipes are checked
    without importing any.

    paper: where the method is from.
    version: raise it when results change; it is part of the cache key.
    default: whether this is what the family means without a method.
    touches: for attention controls, where each of the functions that the stage returns acts, in their order.
    reads: for other stages, the attention maps that they record; a model that has none of a touch is refused.
    rows: denoiser rows that one image costs: a number, or an expression over options and facts.
    facts: what later stages need to know to tell their cost, such as {"pinned": True}.
    needs: what has to hold of the options together; checked before anything runs.
    moot: options that nothing reads under some values of others; to give one then is told.
    predicts: the kinds of prediction that it can work with, such as ("flow",); all if empty.
    told: numbers that the network has to read besides, such as ("guidance",).
    instead: the stage to use where the model is not of these.
    weights: names of files, as the plugin's hook `retouch_weights` has them, that its port `Weights` holds.
    pretrained: what the folder that its option `name` names calls itself, such as ("clip",): its port `Pretrained`.
    words: "needed" where the model has to read text, or there is nothing to do; "own" where the stage itself reads the
        prompts' words, so that they say something on any model; unsaid, needed by what takes an edit or a TextEncoder.
    side: height and width in pixels of the pictures that it takes, if it takes no others; 0 if it does.
    prompts: of a tuning that learns words, the stage that says them in prompts, such as "tune prompts": put in where
        prompts are asked for behind it and the turn has no stage that makes them.
    folder: "module:function" of what describes the folder that its option `path` names, see `retouch.api.folders`.
    tensors: "module:function" of what describes the safetensors file that its option `path` names, likewise.
    """
    settings = (version, api, stability, default, touches, reads, rows, facts or {}, needs, moot)
    more = (predicts, told, instead, weights, pretrained, words, side, prompts, folder, tensors)
    mark = StageMark(family, method, paper, *settings, *more)

    def marked(function: F) -> F:
        made = _with_touches(function, touches) if touches else function
        made.retouch_stage = mark  # pyright: ignore[reportFunctionMemberAccess]
        return made

    return marked


def _with_touches(function: F, touches: tuple[Touch, ...]) -> F:
    """Join the functions that the stage returns to one control that acts only at its touches."""
    defaults = {p.name: p.default for p in signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}

    @wraps(function)
    def control(*ports: Any, **options: Any) -> AttentionControl:
        acts = function(*ports, **options)
        if not isinstance(acts, tuple | list) or len(acts) != len(touches):
            count = f"{len(acts)} functions" if isinstance(acts, tuple | list) else f"a {type(acts).__name__}"
            raise TypeError(f"it returns {count} for {len(touches)} touches, and each has one function, in a tuple")
        bound = [touch.bound({**defaults, **options}) for touch in touches]
        return AttentionControl(tuple(zip(bound, acts, strict=True)))

    return control  # pyright: ignore[reportReturnType]
