"""A family of a plugin that does not come with the engine, at work: its mistakes are its own, and have its name.

Its models are loaded and evaluated for all pictures, so nobody else's code may hear of what it does: what it changes
for the process is put back, what it raises is told as the family's, and what it gives is held against its contract.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor, nn

from retouch.core.errors import BrokenTouch
from retouch.core.values import Prompt
from retouch.models import families
from retouch.models.errors import BrokenModel
from retouch.models.family import Ask, Loaded, Net, Rows, Spans
from retouch.plugins.discovery import installed
from retouch.plugins.importing import surrounded
from retouch.plugins.interrupts import is_stop

# What is no mistake of the family that it comes through.
_OTHERS = (BrokenModel, BrokenTouch, MemoryError, torch.OutOfMemoryError)


class FamilyFault(BrokenModel):
    """A family broke its contract.  family: as people say it; plugin: whose it is; what: it did."""

    def __init__(self, family: str, plugin: str, what: str) -> None:
        super().__init__(f"the family '{family}' of '{plugin}' is at fault: {what}")
        self.family, self.plugin, self.what = family, plugin, what


class FamilyGuard:
    """Surrounds all that a stranger's family does for one model.

    changed: what it left changed for the process, each once; it was put back.
    """

    def __init__(self, family: str, plugin: str, module: str) -> None:
        """module: that the family is of."""
        self.family, self.plugin, self._module = family, plugin, module
        self.changed: list[str] = []

    def fault(self, what: str) -> FamilyFault:
        """The error that says what it did."""
        return FamilyFault(self.family, self.plugin, what)

    def tell(self, what: str) -> None:
        """Hear of something that was changed and put back."""
        if what not in self.changed:
            self.changed.append(what)

    @contextmanager
    def around(self, what: str, *known: type[Exception]) -> Iterator[None]:
        """Surround one call.  Raises FamilyFault for whatever its own code raises.

        known: what it may raise by its contract.
        """
        try:
            with surrounded(self._module, self.tell):
                yield
        except (*_OTHERS, *known):
            raise
        except BaseException as why:
            if is_stop(why) or self._is_anothers(why):
                raise
            words = f"{type(why).__name__}: {_said(why)}".removesuffix(": ")
            raise self.fault(f"its {what} raises {words}") from why

    def _is_anothers(self, error: BaseException) -> bool:
        """Whether it comes from code of another plugin that a pass calls, such as a control."""
        plugins = {each.module.partition(".")[0] for each in installed()} - {self._module.partition(".")[0]}
        for frame, _ in reversed([*walk_tb(error.__traceback__)]):
            top = str(frame.f_globals.get("__name__")).partition(".")[0]
            if top == self._module.partition(".")[0]:
                return False
            if top in plugins:
                return True
        return False

    def loaded(self, made: Any) -> Loaded:
        """The parts that it loaded, each call of which is surrounded from now on."""
        if not isinstance(made, Loaded):
            raise self.fault(f"its load() gives a {type(made).__name__}, not a Loaded")
        if not isinstance(made.net, Net) or not isinstance(made.net.module, nn.Module):
            raise self.fault(f"the net that its load() gives is a {type(made.net).__name__}, not a Net with a module")
        for what, part, calls in (("codec", made.codec, _OF_CODECS), ("texts", made.texts, _OF_TEXTS)):
            if lacks := [name for name in calls if not callable(getattr(part, name, None))]:
                raise self.fault(f"the {what} that its load() gives has no {lacks[0]}()")
        ours = type(made.codec).__module__.partition(".")[0] == "retouch"
        codec: Any = made.codec if ours else GuardedCodec(made.codec, self)
        return Loaded(GuardedNet(made.net, self), codec, GuardedTexts(made.texts, self))

    def check(self, what: str, made: Any, wanted: Sequence[int | None], given: Tensor) -> None:
        """Insist on a tensor of this shape, of which None may be anything, where the given one lies."""
        if not isinstance(made, Tensor):
            raise self.fault(f"its {what} gives {type(made).__name__} for {list(given.shape)}")
        fits = len(made.shape) == len(wanted) and all(
            need in (None, have) for need, have in zip(wanted, made.shape, strict=True)
        )
        if not fits or not made.is_floating_point() or made.device != given.device:
            got = f"{list(made.shape)} of {str(made.dtype).removeprefix('torch.')} on {made.device}"
            raise self.fault(f"its {what} gives {list(made.shape) if not fits else got} for {list(given.shape)}")


_OF_CODECS = ("encode", "decode", "padded")
_OF_TEXTS = ("prompt", "heard")


def guard_of(pipeline: str) -> FamilyGuard | None:
    """What surrounds the family that reads pipelines of this class; None where it comes with the engine."""
    if not families.is_strangers(pipeline):
        return None
    found = families.named(pipeline)
    name = getattr(found, "name", None)
    return FamilyGuard(
        name if isinstance(name, str) else pipeline, families.plugin_of(pipeline), families.module_of(pipeline)
    )


class GuardedNet(Net):
    """A stranger's network: what it gives is one answer a row, and what it was given stays."""

    def __init__(self, inner: Net, guard: FamilyGuard) -> None:
        super().__init__(inner.module)
        self.inner, self.guard = inner, guard
        self.capturable = inner.capturable
        self._weights = [*inner.module.parameters(), *inner.module.buffers()]

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """Return the network's answer."""
        given, weights = _versions(rows.tensors), _versions(self._weights)
        with self.guard.around("forward()"):
            made: Any = self.inner.forward(ask, rows)
        self.guard.check("forward()", made, tuple(rows.x.shape), rows.x)
        if _versions(rows.tensors) != given:
            raise self.guard.fault("its forward() writes into what it is given")
        if _versions(self._weights) != weights:
            raise self.guard.fault("its forward() changes its weights, by which all pictures after it are made")
        return made

    def spans(self, rows: Rows) -> Spans | None:
        """Return where the tokens stand at sites of joint attention."""
        with self.guard.around("spans()"):
            made: object = self.inner.spans(rows)
        if made is not None and not isinstance(made, Spans):
            raise self.guard.fault(f"its spans() gives {type(made).__name__}, not Spans or None")
        return made

    def features(self, block: nn.Module) -> nn.Module:
        """Return the module whose output is the features of a "resnet" site."""
        with self.guard.around("features()"):
            made: object = self.inner.features(block)
        if not isinstance(made, nn.Module):
            raise self.guard.fault(f"its features() gives {type(made).__name__}, not a module")
        return made


@dataclass(frozen=True, slots=True)
class _Guarded:
    """Something of a stranger's; all that is not guarded is as it is."""

    inner: Any
    guard: FamilyGuard

    def __getattr__(self, name: str) -> Any:
        if name in ("inner", "guard") or name.startswith("__"):  # of itself, while it is copied
            raise AttributeError(name)
        return getattr(self.inner, name)


@dataclass(frozen=True, slots=True)
class GuardedCodec(_Guarded):
    """A codec of a stranger's own class."""

    def encode(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] -> scaled latents [B, C, h, w]"""
        cells = (None, *(side // self.inner.scale for side in pictures.shape[2:]))
        return self._called("encode", pictures, cells)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [B, C, h, w] -> [B, 3, H, W] in [0, 1]"""
        return self._called("decode", latents, (3, *(side * self.inner.scale for side in latents.shape[2:])))

    def decode_freely(self, latents: Tensor) -> Tensor:
        """The same, where colours may leave [0, 1], if it has such a way."""
        name = "decode_freely" if hasattr(self.inner, "decode_freely") else "decode"
        return self._called(name, latents, (3, *(side * self.inner.scale for side in latents.shape[2:])))

    def _called(self, name: str, given: Tensor, wanted: tuple[int | None, ...]) -> Tensor:
        version = given._version
        with self.guard.around(f"codec's {name}()"):
            made: Any = getattr(self.inner, name)(given)
        self.guard.check(f"codec's {name}()", made, (len(given), *wanted), given)
        if given._version != version:
            raise self.guard.fault(f"its codec's {name}() writes into what it is given")
        return made


@dataclass(frozen=True, slots=True)
class GuardedTexts(_Guarded):
    """A stranger's text encoders."""

    async def prompt(self, text: str) -> Prompt:
        """Encode a text; between what it awaits it is surrounded."""
        made = await _Surrounded(self.inner.prompt, text, self.guard)
        if not isinstance(made, Prompt):
            raise self.guard.fault(f"its prompt() gives a {type(made).__name__}, not a Prompt")
        if not isinstance(made.embeds, Tensor) or made.embeds.ndim != 2:
            gave = list(made.embeds.shape) if isinstance(made.embeds, Tensor) else type(made.embeds).__name__
            raise self.guard.fault(f"its prompt() gives embeds {gave}, not [tokens, dim]")
        if not bool(torch.isfinite(made.embeds).all()):  # once a text, before anything waits for it
            raise self.guard.fault("its prompt() gives embeds that are not finite")
        return made

    def heard(self, text: str) -> Any:
        """What the model reads of a text, without encoding it."""
        with self.guard.around("heard()"):
            return self.inner.heard(text)

    def knowing(self, word: str, vectors: Sequence[Tensor]) -> GuardedTexts:
        """The same, which reads a word as these vectors."""
        return GuardedTexts(self.inner.knowing(word, vectors), self.guard)


class _Surrounded:
    """An async function of a family's, each advance of which is surrounded."""

    def __init__(self, function: Callable[[str], Any], text: str, guard: FamilyGuard) -> None:
        self._function, self._text, self._guard = function, text, guard

    def __await__(self) -> Generator[Any, Any, Any]:
        reply, thrown = None, None
        with self._guard.around("prompt()"):
            coroutine = self._function(self._text)
            if not hasattr(coroutine, "send"):
                raise self._guard.fault("its prompt() is no async function")
        while True:
            with self._guard.around("prompt()"):
                try:
                    asked = coroutine.throw(thrown) if thrown else coroutine.send(reply)
                except StopIteration as stop:
                    return stop.value
            try:
                reply, thrown = (yield asked), None
            except Exception as error:
                reply, thrown = None, error


def _versions(tensors: Sequence[Tensor]) -> list[int]:
    return [each._version for each in tensors if not each.is_inference()]


def _said(error: BaseException) -> str:
    try:
        return (str(error).strip().splitlines() or [""])[0]
    except BaseException as why:
        if is_stop(why):
            raise
        return ""
