"""What a stage made, held against the type that it declares: where it is made, before anyone takes it.

Shapes, types and devices are known at once.  Whether numbers are finite and in range is asked of the device, and read
when the executor has all of a tick's answers together, so that no device is waited for in between.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from retouch.core.attention import AttentionControl
from retouch.core.denoiser import Denoiser
from retouch.core.large.stored import StoredImage
from retouch.core.large.window import Window
from retouch.core.schedule import Schedule
from retouch.core.values import Canvas, Image, Latents, Mask
from retouch.core.walk import Blend, Trajectory
from retouch.run.strangers.wrong_results import Doubt, NotFinite, WrongResult, described, tensors

_SLACK = 1e-3  # what resampling and half precision may put a colour out of [0, 1]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a stage's result has to be.

    type: the name of the type that it returns; None for one that writes a file.
    device: where its tensors lie; channels: of its latents; None where several models make that open.
    """

    type: str | None
    device: str
    channels: int | None = None

    def check(self, value: Any) -> Iterator[Doubt]:
        """Raise WrongResult for what is seen at once, and give the questions that only the device can answer."""
        if self.type is None:
            return
        if inspect.iscoroutine(value):
            value.close()  # or Python complains of it later
        names = {each.__name__ for each in type(value).__mro__}
        if look := _LOOKS.get(self.type):
            yield from look(value, self)
        elif self.type not in names:
            raise WrongResult(f"a {self.type}", described(value))
        finite = [torch.isfinite(tensor).all() for tensor in tensors(value) if tensor.is_floating_point()]
        yield from (Doubt(each, NotFinite()) for each in finite)

    def floats(self, wanted: str, data: Any, *, axes: int) -> Tensor:
        """The tensor, if it has so many axes, at least 32 bits, no gradient, and lies where the run is."""
        if not isinstance(data, Tensor):
            raise WrongResult(wanted, described(data))
        if data.ndim != axes or 0 in data.shape:
            raise WrongResult(wanted, f"one of {list(data.shape)}")
        if data.layout != torch.strided:
            raise WrongResult(wanted, f"one that is laid out as {_plain(data.layout)}")
        if data.dtype not in (torch.float32, torch.float64):
            raise WrongResult(f"{wanted} as float32", f"{_plain(data.dtype)}")
        if data.requires_grad:
            raise WrongResult(f"{wanted} without a gradient", "one that carries its graph along; detach() it")
        if data.device.type != self.device:
            raise WrongResult(f"{wanted} on {self.device}", f"one on {data.device.type}")
        return data


def _of(type_: type, wanted: str, value: Any) -> None:
    if not isinstance(value, type_):
        raise WrongResult(wanted, described(value))


def _within(data: Tensor, low: float, high: float, wanted: str) -> Doubt:
    return Doubt(((data >= low) & (data <= high)).all(), WrongResult(wanted, "numbers outside of that"))


def _image(value: Any, of: Declared) -> Iterator[Doubt]:
    wanted = "an Image, data [3, H, W] in [0, 1]"
    _of(Image, wanted, value)
    if isinstance(value, StoredImage):  # what was opened is bytes
        for patch in value.patches[-1:]:
            yield from _image(Image(patch.data), of)
        return
    data = of.floats(wanted, value.data, axes=3)
    if len(data) != 3:
        raise WrongResult(wanted, f"one of {list(data.shape)}")
    if value.alpha is not None and (
        not isinstance(value.alpha, Tensor) or tuple(value.alpha.shape) != tuple(data.shape[1:])
    ):
        size = list(data.shape[1:])
        raise WrongResult(f"an Image whose alpha is {size} as its data", described(value.alpha))
    finite = torch.isfinite(data).all()
    yield Doubt(finite, NotFinite())
    yield _within(data, -_SLACK, 1 + _SLACK, wanted)


def _latents(value: Any, of: Declared) -> Iterator[Doubt]:
    wanted = f"Latents, data [{of.channels or 'C'}, h, w]"
    _of(Latents, wanted, value)
    data = of.floats(wanted, value.data, axes=3)
    if of.channels not in (None, len(data)):
        raise WrongResult(wanted, f"one of {list(data.shape)}")
    _of(Canvas, "Latents with the Canvas of their picture", value.canvas)
    cells = [-(-side // value.canvas.scale) for side in (value.canvas.height, value.canvas.width)]
    if any(have < need for have, need in zip(data.shape[1:], cells, strict=True)):
        raise WrongResult(f"Latents that hold their canvas, {cells} cells", f"one of {list(data.shape)}")
    yield from ()


def _mask(value: Any, of: Declared) -> Iterator[Doubt]:
    wanted = "a Mask, data [h, w] in [0, 1]"
    _of(Mask, wanted, value)
    data = of.floats(wanted, value.known[0], axes=2)
    if not isinstance(value.scale, int) or value.scale < 1:
        raise WrongResult("a Mask whose scale is pixels a cell, from 1", f"scale {value.scale!r}")
    yield Doubt(torch.isfinite(data).all(), NotFinite())
    yield _within(data, 0, 1, wanted)


def _trajectory(value: Any, of: Declared) -> Iterator[Doubt]:
    wanted = "a Trajectory"
    _of(Trajectory, wanted, value)
    _of(Schedule, "a Trajectory over a Schedule", value.schedule)
    form = f"a Trajectory with states [{len(value.schedule) + 1}, k, {of.channels or 'C'}, h, w]"
    states = of.floats(form, value.states, axes=5)
    if len(states) != len(value.schedule) + 1 or of.channels not in (None, states.shape[2]):
        raise WrongResult(form, f"states {list(states.shape)}")
    _check_rule("a Trajectory with a rule: an object", value.rule)
    if value.pinned not in (True, False, None):
        raise WrongResult("a Trajectory whose pinned is True, False or None", repr(value.pinned))
    if value.start is not None and tuple(of.floats(form, value.start, axes=4).shape) != tuple(states.shape[1:]):
        raise WrongResult(f"a Trajectory whose start is {list(states.shape[1:])}", f"{list(value.start.shape)}")
    yield from ()


def _schedule(value: Any, of: Declared) -> Iterator[Doubt]:
    """A walk has steps, and each begins where there is more noise than where it ends."""
    wanted = "a Schedule whose steps go down in noise"
    _of(Schedule, wanted, value)
    steps = list(value)
    if not steps:
        raise WrongResult(wanted, "one without a step")
    for step in steps:
        # sigma / alpha, multiplied out: at pure noise alpha may be 0.
        noisy, clean = (
            level.sigma * other.alpha for level, other in ((step.noisy, step.clean), (step.clean, step.noisy))
        )
        if not noisy > clean:
            raise WrongResult(wanted, f"one whose step {step.index + 1} of {len(steps)} does not")
    yield from ()


def _denoiser(value: Any, of: Declared) -> Iterator[Doubt]:
    """Weights that stand in for others are such as the network has."""
    wanted = "a Denoiser, such as model.tuned(ModelDelta(…))"
    _of(Denoiser, wanted, value)
    base, delta = getattr(value.core, "base", None), value.delta
    if not isinstance(base, Mapping) or not callable(getattr(value.core, "forward", None)):
        raise WrongResult(wanted, f"one whose core is {described(value.core)}")
    for name in (*delta.weights, *delta.low_rank, *delta.beside):
        if name not in base:
            raise WrongResult("a Denoiser with weights by the names of its network", f"'{name}'")
    form = "a Denoiser with weights of its network's shapes"
    for name, weight in delta.weights.items():
        _fits(form, name, weight, base[name].shape, of)
    for name, (up, down) in delta.low_rank.items():
        shape = base[name].shape
        narrow = up.shape[-1] if isinstance(up, Tensor) and up.ndim else 0
        _fits(f"{form}: up [out, r]", name, up, (shape[0], narrow), of)
        _fits(f"{form}: down [r, in]", name, down, (narrow, shape[1:].numel()), of)
    given = [*delta.weights.values(), *(each for pair in delta.low_rank.values() for each in pair)]
    yield from (Doubt(torch.isfinite(each).all(), NotFinite()) for each in given if each.is_floating_point())


def _fits(form: str, name: str, weight: Any, shape: Sequence[int], of: Declared) -> None:
    if not isinstance(weight, Tensor):
        raise WrongResult(form, f"'{name}' as {described(weight)}")
    if tuple(weight.shape) != tuple(shape):
        raise WrongResult(f"{form}: '{name}' is {list(shape)}", f"{list(weight.shape)}")
    if weight.device.type != of.device:
        raise WrongResult(f"{form} on {of.device}", f"'{name}' on {weight.device.type}")


def _check_rule(what: str, value: Any) -> None:
    """A rule is whatever has its two methods: a stranger's inherits nothing."""
    wanted = f"{what} with begin(x) and an async call (state, step, predict)"
    if isinstance(value, type) or not callable(value) or not callable(getattr(value, "begin", None)):
        raise WrongResult(wanted, described(value))
    check_arguments(wanted, value, 3)


def _rule(value: Any, of: Declared) -> Iterator[Doubt]:
    _check_rule("a Rule: an object", value)
    yield from ()


def _guidance(value: Any, of: Declared) -> Iterator[Doubt]:
    wanted = "an async function (model, x, level, prompt, negative) -> Prediction"
    if not callable(value) or isinstance(value, type):
        raise WrongResult(wanted, described(value))
    check_arguments(wanted, value, 5)
    yield from ()


def _blend(value: Any, of: Declared) -> Iterator[Doubt]:
    _of(Blend, "a Blend", value)
    check_arguments("a Blend whose apply is a function (state, source, step, maps) -> state", value.apply, 4)
    if inspect.iscoroutinefunction(value.apply):
        raise WrongResult("a Blend whose apply is a plain function", "an async one")
    if not isinstance(value.start, int | float) or not 0 <= value.start <= 1:
        raise WrongResult("a Blend whose start is a share of the steps, from 0 to 1", repr(value.start))
    yield from ()


def _control(value: Any, of: Declared) -> Iterator[Doubt]:
    wanted = "functions of one SiteCall, one for each touch"
    _of(AttentionControl, wanted, value)
    for _, act in value.acts:
        if inspect.iscoroutinefunction(act):
            raise WrongResult(wanted, "an async function")
        check_arguments(wanted, act, 1)
    yield from ()


def _window(value: Any, of: Declared) -> Iterator[Doubt]:
    _of(Window, "a Window", value)
    yield from _image(value.image, of)
    yield from _mask(value.mask, of)


def check_size(value: Any, given: Sequence[Any]) -> None:
    """Raise WrongResult where a mask is not as large as what its stage was given, or the next would be blamed."""
    sizes = {each.size for each in given if isinstance(each, Image | Latents)}
    if not isinstance(value, Mask) or len(sizes) != 1:
        return
    (size,) = sizes
    covered = [cells * value.scale for cells in value.data.shape]
    if any(have < need or (value.scale == 1 and have > need) for have, need in zip(covered, size, strict=True)):
        cells = f" in cells of {value.scale} pixels" if value.scale > 1 else ""
        raise WrongResult(f"a Mask as large as its picture, {list(size)}", f"one of {covered}{cells}")


def check_arguments(wanted: str, function: Any, count: int) -> None:
    """Raise WrongResult where a function cannot be called with so many arguments."""
    if not callable(function):
        raise WrongResult(wanted, described(function))
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a builtin: it will say so itself
        return
    try:
        signature.bind(*range(count))
    except TypeError as err:
        raise WrongResult(wanted, f"a function that takes {signature}") from err


def _plain(said: torch.dtype | torch.layout) -> str:
    return str(said).removeprefix("torch.")


def _behaving(wanted: str, *members: str) -> Callable[[Any, Declared], Iterator[Doubt]]:
    """The look at a value that is known by what it can do: of whatever class, with these members."""

    def look(value: Any, declared: Declared) -> Iterator[Doubt]:
        missing = [name for name in members if not hasattr(value, name)]
        if isinstance(value, type) or missing:
            lacking = f", which has no '{missing[0]}'" if missing and not isinstance(value, type) else ""
            raise WrongResult(wanted, described(value) + lacking)
        yield from ()

    return look


_LOOKS: Mapping[str, Callable[[Any, Declared], Iterator[Doubt]]] = {
    "AttentionControl": _control,
    "Blend": _blend,
    "Denoiser": _denoiser,
    "Codec": _behaving("a Codec", "encode", "decode", "padded", "scale", "side"),
    "Guidance": _guidance,
    "Image": _image,
    "Latents": _latents,
    "Mask": _mask,
    "Rule": _rule,
    "Schedule": _schedule,
    "SourceImage": _image,
    "SourceLatents": _latents,
    "TextEncoder": _behaving("a TextEncoder", "prompt"),
    "Trajectory": _trajectory,
    "Window": _window,
}
