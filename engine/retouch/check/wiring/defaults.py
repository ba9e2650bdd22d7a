"""Values that no stage gives: of the command line, of the `defaults` line, of the model, of the signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from retouch.check.reading import option_values
from retouch.check.reading.calls import Given
from retouch.check.reading.environment import Written, from_command_line
from retouch.check.reading.names import near
from retouch.check.reading.variants import Choices
from retouch.graph.ports import SEED, options
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.plugins.signatures import Option, StageCard

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo


class Defaults:
    """What an option is when no stage says it; the command line wins over the recipe's own line."""

    def __init__(
        self, lines: Mapping[str, Written], settings: Mapping[str, str], choices: Choices, report: Report
    ) -> None:
        self._written = dict(lines) | {name: from_command_line(name, text) for name, text in settings.items()}
        self._choices = choices
        self._report = report

    def check(self, cards: Iterable[StageCard]) -> None:
        """Each must be an option of some stage of the recipe, and a value that it takes."""
        known = [option for card in cards for option in options(card).values()] + [SEED]
        for name, written in self._written.items():
            fitting = [option for option in known if option.name == name]
            for option in fitting:
                option_values.read(option, written, self._choices, self._report)
            if not fitting:
                mend = near(name, {option.name for option in known}) or "retouch stages lists the options of each stage"
                self._report.add("RT222", written.name, source=written.source, name=name, mend=mend)

    def of(self, option: Option, model: ModelInfo, stages: Iterable[str]) -> Given:
        """The option's value, and where it comes from.

        stages: those whose own settings of the model count, in the order in which they do.
        """
        if (written := self._written.get(option.name)) is not None:
            value = option_values.read(option, written, self._choices, self._report)
            return Given(value, written.span, written.origin, written.source)
        for stage in stages:
            if option.name in (suits := model.stages.get(stage, {})):
                return self._of_card(option, suits[option.name], f"model for '{stage}'", model)
        if option.name in model.defaults:
            return self._of_card(option, model.defaults[option.name], "model", model)
        return Given(option.default, s.NOWHERE, "signature")

    def _of_card(self, option: Option, value: Any, origin: str, model: ModelInfo) -> Given:
        if not option_values.fits(option.kind, value):
            what = f"its card says {option.name}={value!r}, and that takes {option.kind}"
            self._report.add("RT416", s.NOWHERE, source=model.name, name=model.name, what=what)
        return Given(tuple(value) if option.kind.many else value, s.NOWHERE, origin)
