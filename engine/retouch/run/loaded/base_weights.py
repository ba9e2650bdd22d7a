"""The weights that all pictures of a run share, which nobody may write to: of networks, codecs and text encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from retouch.core.denoiser import Denoiser
from retouch.models.strange_family import GuardedCodec, GuardedTexts


class BaseWeights:
    """What the weights of a run's models were before a stranger had them, and whether they still are."""

    def __init__(self, restore: Callable[[Sequence[nn.Module]], None]) -> None:
        """restore: reads the weights of such modules anew."""
        self._restore = restore
        self._known: dict[int, _Known] = {}

    def know(self, value: Any) -> bool:
        """Look at the weights behind a value before a stranger has it, if there are any."""
        modules = [*modules_of(value)]
        if modules and id(modules[0]) not in self._known:
            self._known[id(modules[0])] = _Known(modules, getattr(value, "core", None))
        return bool(modules)

    def kept(self, value: Any) -> bool:
        """Whether the weights are as they were; if not, they are again, before anyone else's rows are evaluated."""
        known = self._of(value)
        if known.unchanged():
            return True
        known.repair()
        self._restore(known.modules)
        known.look()
        return False

    def probed(self, value: Any) -> Tensor | None:
        """Whether [] the numbers themselves are as they were, of which one in each weight is looked at.

        What goes past torch, through `.data` or numpy, leaves no version behind.  None where `kept` has looked already.
        """
        known = self._of(value)
        return None if known.at_once else known.probe()

    def _of(self, value: Any) -> _Known:
        if isinstance(value, Denoiser):
            for known in self._known.values():
                if known.core is value.core:  # whose module somebody may have taken away
                    return known
        return self._known[id(next(modules_of(value)))]


class _Known:
    """Modules as they were: lists are made once, since a stage that takes a network is looked at whenever it waits."""

    def __init__(self, modules: Sequence[nn.Module], core: Any = None) -> None:
        self.modules, self.core = modules, core
        self._inner = [each for module in modules for each in module.modules()]
        spaces = [(each._parameters, each._buffers) for each in self._inner]
        hooks = [(each._forward_hooks, each._forward_pre_hooks) for each in self._inner]
        self._held = [held for pair in spaces for held in pair]
        self._hooks = [held for pair in hooks for held in pair]
        self._named = [vars(each) for each in (core, *modules) if each is not None]  # what their attributes are
        self._before: list[dict[Any, Any]] = [dict(each) for each in (*self._held, *self._hooks, *self._named)]
        self._training = [each.training for each in self._inner]
        self._weights = self._now()
        self._numbers_in = [weight.detach() for weight in self._weights]  # the memory that they lie in
        self.look()

    def look(self) -> None:
        """Take what the weights are now for what they have to be."""
        self._places = [weight.detach().as_strided((1,), (1,)) for weight in self._weights if weight.numel()]
        self._first, self._state = self._numbers(), self._read()

    @property
    def at_once(self) -> bool:
        """Whether looking at numbers makes nobody wait."""
        return self._first.device.type == "cpu"

    def unchanged(self) -> bool:
        """Whether they are as they were, as far as that is seen without waiting for a device."""
        return self._read() == self._state and (not self.at_once or bool(self.probe()))

    def probe(self) -> Tensor:
        """Whether [] the first number of each weight is as it was."""
        now = self._numbers()
        return ((now == self._first) | (now.isnan() & self._first.isnan())).all()

    def repair(self) -> None:
        """Put back parameters, the memory that they lay in, hooks, attributes and modes; others read the numbers.

        Captured graphs read those addresses, and other numbers by now, were the memory let go.
        """
        spaces: list[Any] = [*self._held, *self._hooks, *self._named]
        for held, before in zip(spaces, self._before, strict=True):
            held.clear()
            held.update(before)
        for weight, own in zip(self._weights, self._numbers_in, strict=True):
            if weight.data_ptr() != own.data_ptr():
                weight.data = own
        for each, training in zip(self._inner, self._training, strict=True):
            each.training = training

    def _now(self) -> list[Tensor]:
        return [weight for held in self._held for weight in held.values() if weight is not None]

    def _read(self) -> tuple[Any, ...]:
        """What changes with whatever is done to modules through torch."""
        return (
            [*map(id, self._now())],
            sum([weight._version for weight in self._weights]),
            sum([weight.data_ptr() for weight in self._weights]),
            [each.training for each in self._inner] == self._training,
            sum(map(len, self._hooks)),
            [id(value) for named in self._named for value in named.values()],
        )

    def _numbers(self) -> Tensor:
        return torch.cat([place.float() if place.dtype != torch.float32 else place for place in self._places])


def modules_of(value: Any, depth: int = 3) -> Iterator[nn.Module]:
    """The modules behind a value that the engine supplies: of a network, of a codec, of text encoders."""
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, GuardedCodec | GuardedTexts):
        yield from modules_of(value.inner, depth)
    elif isinstance(value, Denoiser):
        yield from modules_of(getattr(value.core, "module", None), depth - 1)
    elif depth:
        for each in _within(value):
            yield from modules_of(each, depth - 1)


def _within(value: Any) -> Iterable[Any]:
    match value:
        case Mapping():
            return value.values()
        case list() | tuple():
            return value
        case _ if is_dataclass(value) and not isinstance(value, type):
            return [getattr(value, each.name) for each in fields(value)]
        case _:
            return ()


def copy_weights(fresh: nn.Module, into: nn.Module) -> None:
    """Give a module the numbers of another of its kind, in the memory that it has, if that still is its own."""
    state = {**dict(fresh.named_parameters()), **dict(fresh.named_buffers())}
    with torch.no_grad():
        for name, weight in (*into.named_parameters(), *into.named_buffers()):
            if weight.shape == state[name].shape and weight.dtype == state[name].dtype:
                weight.copy_(state[name])
            else:
                weight.data = state[name].data
