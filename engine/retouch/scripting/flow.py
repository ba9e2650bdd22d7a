"""Flows built stage by stage in Python: `retouch.open("cat.png") | retouch.invert.ddim() | …`; each is a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from retouch.scripting.recipe import Recipe
from retouch.scripting.values import Spelt, shown_in_words, spelt


@dataclass(frozen=True)
class EditText(Spelt):
    """A change of the caption, as a recipe writes it."""

    text: str

    @property
    def spelt(self) -> str:
        return self.text

    def __add__(self, other: EditText) -> EditText:
        """Both at once."""
        return EditText(f"{self.text} {other.text}")


def edit(old: str, new: str, *, weight: float | None = None) -> EditText:
    """Replace words of the caption: `"cat"->"dog"`.  weight: factor on the attention to the new words."""
    return EditText(f"{spelt(old)}->{spelt(new)}{'' if weight is None else f'*{spelt(weight)}'}")


def add(words: str, *, weight: float | None = None) -> EditText:
    """Add words to the caption: `+"a red hat"`."""
    return EditText(f"+{spelt(words)}{'' if weight is None else f'*{spelt(weight)}'}")


def remove(words: str) -> EditText:
    """Remove words from the caption: `-"hat"`."""
    return EditText(f"-{spelt(words)}")


def weigh(words: str, weight: float) -> EditText:
    """Weigh words of the target prompt: `"fluffy"*2`."""
    return EditText(f"{spelt(words)}*{spelt(weight)}")


@dataclass(frozen=True)
class Flow(Spelt):
    """Stages in a row.  `a | b` joins them; calling it runs it, as a recipe."""

    stages: tuple[str, ...]
    named: tuple[tuple[str, Flow], ...] = ()  # flows that are given to ports

    @property
    def spelt(self) -> str:
        return f"({' | '.join(self.stages)})"

    def __or__(self, other: Flow) -> Flow:
        if not isinstance(other, Flow):
            raise TypeError(f"behind | stands a stage such as retouch.invert.ddim(…), not {shown_in_words(other)}")
        return Flow((*self.stages, *other.stages), (*self.named, *other.named))

    @property
    def recipe(self) -> Recipe:
        """The recipe that says the same; whoever builds it names its files, so it may use them wherever they are."""
        here = Path.cwd()
        return Recipe(str(self), here, (Path(here.anchor),))

    def __str__(self) -> str:
        lines: dict[str, None] = {}
        for name, flow in self.named:
            inner = str(flow).rstrip("\n").split("\n")
            lines |= dict.fromkeys([*inner[:-1], f"{name} = {inner[-1]}"])
        return "\n".join([*lines, " | ".join(self.stages)]) + "\n"

    def __call__(self, *sources: Any, **options: Any) -> Any:
        """Run it; see Recipe."""
        return self.recipe(*sources, **options)


@dataclass(frozen=True)
class Family:
    """A family of stages: `retouch.invert.ddim(steps=50)`, or `retouch.blend()` for its default method."""

    name: str

    def __getattr__(self, method: str) -> Any:
        if method.startswith("__"):
            raise AttributeError(method)
        return lambda *edits, **options: _stage(f"{self.name} {method}", edits, options)

    def __call__(self, *operand: Any, **options: Any) -> Flow:
        """The family's default method."""
        return _stage(self.name, operand, options)


def _stage(name: str, operand: Sequence[Any], options: Mapping[str, Any]) -> Flow:
    """A stage with what it works on; a flow there stands in brackets, and one that an option is given has a name."""
    named = {key: value for key, value in options.items() if isinstance(value, Flow)}
    given = {key: _name(value) if key in named else spelt(value) for key, value in options.items()}
    parts = [name, *map(spelt, operand), *(f"{key.rstrip('_')}={value}" for key, value in given.items())]
    inside = (each for value in operand for each in _flows(value))
    kept = (each for flow in inside for each in flow.named)
    return Flow((" ".join(parts),), (*kept, *((_name(flow), flow) for flow in named.values())))


def _flows(value: Any) -> Iterator[Flow]:
    """The flows that a value is made of."""
    if isinstance(value, Flow):
        yield value
    elif isinstance(value, list | tuple):
        yield from (flow for each in cast("Sequence[Any]", value) for flow in _flows(each))


def _name(flow: Flow) -> str:
    """A name for a flow that depends on what it is, so that equal flows are one."""
    import hashlib

    return f"flow_{hashlib.sha256(str(flow).encode()).hexdigest()[:8]}"
