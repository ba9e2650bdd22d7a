"""Which models a recipe works with: the command line's, its own, or the one that ships with the engine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.check.reading import option_values
from retouch.check.reading.environment import Environment
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.models.errors import BrokenModel, NotFetched, UnfitBeside, UnknownModel
from retouch.paths import resolved

if TYPE_CHECKING:
    from retouch.check.reading.given import Given
    from retouch.models.catalog import ModelInfo
    from retouch.models.prompts.prompt_reader import PromptReader

SHIPPED = "storybook"
BESIDE = ("base", "vae", "lora")  # what may stand beside a model's name, see `catalog.find`
Names = Mapping[str, "Given"]


class Models:
    """The models that a recipe works with, each looked up once and without its weights."""

    def __init__(self, world: Environment, report: Report) -> None:
        self._world = world
        self._report = report
        self._found: dict[Hashable, ModelInfo | None] = {}
        self._readers: dict[str, PromptReader | None] = {}

    def default(self, given: Names | None) -> ModelInfo | None:
        """The recipe's model: the command line's, that of its own line, or the one that ships with the engine."""
        if self._world.model is not None:
            return self._find(self._world.model, None, {}, s.NOWHERE, f"--model {self._world.model}")
        return self.named(given) if given else self._find(SHIPPED, None, {}, s.NOWHERE, None)

    def named(self, given: Names) -> ModelInfo | None:
        """Return the model that a `model` stage names."""
        name, revision = given.get("name"), given.get("revision")
        if name is None or any(each.value is option_values.REFUSED for each in given.values()):
            return None
        beside = {option: given[option] for option in BESIDE if option in given}
        outside = [(each, text) for each in (name, *beside.values()) for text in _texts(each) if self._leaves(text)]
        for each, text in outside:
            self._report.add("RT403", each.span, source=each.source, path=text)
        return (
            None if outside else self._find(name.value, revision.value if revision else None, beside, name.span, None)
        )

    def _leaves(self, text: str) -> bool:
        """Whether it is a path out of the folders that the recipe was given, whatever is there; names are none."""
        try:
            place = resolved(self._world.here / Path(text.partition("*")[0]).expanduser())
        except (OSError, RuntimeError, ValueError):  # no such user, a link to itself, a null: it is no place at all
            return False
        return not (self._world.was_given(place) or place.is_relative_to(resolved(self._world.here)))

    def reader(self, model: ModelInfo) -> PromptReader | None:
        """Who knows what the model reads of its prompts, if its vocabularies tell."""
        if model.name not in self._readers:
            self._readers[model.name] = self._world.reader(model)
        return self._readers[model.name]

    def _find(
        self, name: str, revision: str | None, beside: Names, span: s.Span, source: str | None
    ) -> ModelInfo | None:
        key = name, revision, tuple((option, each.value) for option, each in beside.items())
        if key not in self._found:
            with self._report.looking_at(None):
                self._found[key] = self._look_up(name, revision, beside, span, source)
        return self._found[key]

    def _look_up(
        self, name: str, revision: str | None, beside: Names, span: s.Span, source: str | None
    ) -> ModelInfo | None:
        report = self._report
        try:
            info = self._world.find_model(name, revision, **{option: each.value for option, each in beside.items()})
            for text, names in info.left_over.items() if beside else ():
                span, source = _place(beside, "lora", text)
                report.add("RT432", span, source=source, name=text.partition("*")[0], count=len(names), first=names[0])
            for text, whose in info.foreign.items() if beside else ():
                span, source = _place(beside, "lora", text)
                report.add("RT463", span, source=source, path=text.partition("*")[0], whose=whose, model=info.family)
            return info
        except UnknownModel as err:
            report.add("RT412", span, source=source, what=err.what, mend=err.mend)
        except NotFetched as err:
            report.add("RT430", span, source=source, what=str(err), mend=err.command)
        except UnfitBeside as err:
            span, source = _place(beside, err.option, err.text)
            if isinstance(err.why, NotFetched):
                report.add("RT430", span, source=source, what=str(err), mend=err.why.command)
            else:
                what, mend = str(err), err.mend
                report.add("RT433", span, source=source, option=err.option, name=err.text, what=what, mend=mend)
        except BrokenModel as err:
            report.add("RT416", span, source=source, name=name, what=str(err))
        return None


def _texts(given: Given) -> tuple[str, ...]:
    """The text of an option, or each of its list."""
    return tuple(given.value) if isinstance(given.value, list | tuple) else (given.value,)


def _place(beside: Names, option: str, text: str) -> tuple[s.Span, str | None]:
    """Where an option's text stands, and the source that it is in."""
    given = beside[option]
    if given.items and text in given.value:
        return given.items[given.value.index(text)], given.source
    return given.span, given.source
