"""The card of a stage: its signature as data, so that recipes are checked without loading torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, Literal

from retouch.core.declared.demands import Moot, Need
from retouch.core.declared.touches import Pattern, Touch

Operand = Literal["edit", "path", "text", "flow"]
EDIT_PORTS = ("SourcePrompt", "TargetPrompt", "Edit")
OF_A_TURN = ("Trajectory", "AttentionControl", "Blend")
_ON_ANY_MODEL = ("sample", "view")  # which take the turn's prompts, whatever they say


@dataclass(frozen=True, slots=True)
class Port:
    """A positional parameter: wired by its type."""

    name: str
    type: str
    optional: bool = False
    many: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.type}{'*' if self.many else '?' if self.optional else ''}"


@dataclass(frozen=True, slots=True)
class Kind:
    """What values an option takes."""

    type: Literal["int", "float", "bool", "text"]
    low: float | None = None
    high: float | None = None
    choices: tuple[str | int | float, ...] = ()
    many: bool = False  # takes a list, never a single value
    optional: bool = False
    unit: str = ""
    form: Pattern | None = None  # of a text
    words: Literal["source", "target", "either", ""] = ""  # the prompt whose words it names
    endings: tuple[str, ...] = ()  # of the stage's file, as `Ending` has them: those it may have, or that this is for

    def __str__(self) -> str:
        noun = {"int": "a whole number", "float": "a number", "bool": "true or false", "text": "a text"}[self.type]
        if self.form:
            noun = self.form.noun
        if self.choices:
            noun = " or ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in self.choices)
        return f"a list, each {noun}" if self.many else noun

    def takes(self, value: Any) -> bool:
        """Whether a value that nobody wrote in the language, such as a default or a model card's, is one of these."""
        if self.many:
            one = replace(self, many=False)
            return isinstance(value, list | tuple) and all(one.takes(item) for item in value)
        types = {"int": int, "float": int | float, "text": str, "bool": bool}[self.type]
        return (
            isinstance(value, types)
            and isinstance(value, bool) == (self.type == "bool")
            and (not self.choices or value in self.choices)
            and (self.formed(value) if isinstance(value, str) else self.within(value))
        )

    def formed(self, text: str) -> bool:
        """Whether a text has the form that is asked for."""
        return self.form is None or bool(re.fullmatch(self.form.form, text))

    def within(self, number: float) -> bool:
        """Whether a number lies in the range."""
        return (self.low is None or self.low <= number) and (self.high is None or number <= self.high)

    @property
    def bounds(self) -> str:
        """The range, as a message says it; empty where there is none."""
        return "" if self.low is None or self.high is None else f" from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Option:
    """A keyword-only parameter: a setting that a recipe may write."""

    name: str  # as recipes write it: `self`
    parameter: str  # as Python writes it: `self_`
    kind: Kind
    default: Any = None
    required: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class StageCard:
    """All that is known of a stage before its module is imported."""

    family: str
    method: str
    module: str
    function: str
    file: str
    line: int
    ports: tuple[Port, ...] = ()
    options: tuple[Option, ...] = ()
    output: str | None = None
    doc: str = ""
    paper: str = ""
    version: int = 1
    api: int = 1
    stability: Literal["stable", "experimental"] = "stable"
    default: bool = False
    touches: tuple[Touch, ...] = ()
    reads: tuple[Touch, ...] = ()
    rows: int | str = 0
    facts: Mapping[str, int | float | bool | str] = field(default_factory=dict[str, int | float | bool | str])
    needs: tuple[Need, ...] = ()
    moot: tuple[Moot, ...] = ()
    plugin: str = ""
    predicts: tuple[str, ...] = ()  # kinds of prediction that it works with; all if empty
    told: tuple[str, ...] = ()  # numbers that the network has to read besides
    instead: str = ""  # the stage to use on a model that is not of these
    weights: tuple[str, ...] = ()  # files of weights of its plugin's own
    pretrained: tuple[str, ...] = ()  # kinds of the network that its option `name` names
    words: Literal["needed", "own", ""] = ""  # who has to read the prompts: the model, or the stage itself
    side: int = 0  # height and width of the pictures that it takes, in pixels; 0 if it takes others too
    prompts: str = ""  # the stage that says in prompts what this one has learnt
    folder: str = ""  # "module:function" of what describes the folder that its option `path` names
    tensors: str = ""  # the same of what describes the safetensors file that it names
    shared: bool = False  # whether another plugin's stage has the bare name, so that this is called by its plugin's

    @property
    def name(self) -> str:
        """How a recipe calls it, with its plugin where another one has a method of that name."""
        return f"{self.family} {self.plugin}.{self.method}" if self.shared else f"{self.family} {self.method}"

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return self.doc.partition("\n")[0]

    @property
    def operand(self) -> Operand | None:
        """What a recipe may write right after the method: an edit, a path, a text or a flow in brackets.

        Stages that build a trajectory, a control or a blend take the turn's edit; those that run a flow, that flow.
        """
        if self.takes("Turn"):
            return "flow"
        if self.edits:
            return "edit"
        names = {option.name for option in self.options}
        return "path" if "path" in names else "text" if "name" in names else None

    @property
    def edits(self) -> bool:
        """Whether it takes the edit of its turn, which a recipe may write as `edit=`."""
        return self.output in OF_A_TURN or any(port.type in EDIT_PORTS for port in self.ports)

    @property
    def edits_latents(self) -> bool:
        """Whether it makes the latents of the edit by itself, without a walk; the turn's picture is then made."""
        return self.output == "Latents" and self.takes(*EDIT_PORTS) and not self.takes("Trajectory")

    @property
    def needs_words(self) -> bool:
        """Whether it has nothing to do on a model that reads no text."""
        if self.words or self.family in _ON_ANY_MODEL:
            return self.words == "needed"
        asks = any(port.type in ("Edit", "TextEncoder") and not port.optional for port in self.ports)
        return asks or any(option.required and option.kind.words for option in self.options)

    def option(self, name: str) -> Option | None:
        """Return its option of that name, if it has one."""
        return next((option for option in self.options if option.name == name), None)

    def port(self, name: str) -> Port | None:
        """Return its port of that name, if it has one."""
        return next((port for port in self.ports if port.name == name), None)

    def takes(self, *types: str) -> bool:
        """Whether one of its ports has one of these types."""
        return any(port.type in types for port in self.ports)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a plugin: a code of the 9xx range, its facts, and the line to look at."""

    code: str
    plugin: str
    facts: Mapping[str, str]
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def placed(self) -> dict[str, str]:
        """The facts, and in what is said the line, for a message whose place is in a recipe."""
        at = f" ({PurePath(self.file).name}, line {self.line})" if self.line else ""
        return {name: fact + at if name == "what" else fact for name, fact in self.facts.items()}
