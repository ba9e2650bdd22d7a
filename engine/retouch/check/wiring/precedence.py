"""Who wins where several places give an option a value: the table of graph/origins.py, asked from the top."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from retouch.check.reading import option_values
from retouch.check.reading.environment import Written, from_command_line
from retouch.check.reading.given import Given
from retouch.check.reading.variants import Choices
from retouch.graph.nodes import Node
from retouch.graph.origins import COMMAND_LINE, DEFAULTS, MODEL, MODEL_STAGE, PRECEDENCE, RECIPE, SIGNATURE, Origin
from retouch.graph.ports import SEED, options
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.near import near
from retouch.plugins.signatures import Option, StageCard

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo


class Precedence:
    """The value of each option, from the first place of the table that gives it one."""

    def __init__(
        self, lines: Mapping[str, Written], settings: Mapping[str, str], choices: Choices, report: Report
    ) -> None:
        self._lines = lines  # of `defaults` and `seed`
        self._settings = {name: from_command_line(name, text) for name, text in settings.items()}
        self._choices = choices
        self._report = report

    def of(self, option: Option, model: ModelInfo, stages: Iterable[str], own: Given | None = None) -> Given:
        """Return the option's value and where it comes from.

        own: what the recipe's own stage says, or for an option of the turn any stage of it.
        stages: names of the stages whose entries in the model's card count, in the order in which they do.
        """
        if own is not None and option.name in self._settings:
            self.beats(own, option.name, f"--set {self._settings[option.name].source}")
        places: dict[Origin, Callable[[], Given | None]] = {
            RECIPE: lambda: own,
            COMMAND_LINE: lambda: self._written(option, self._settings),
            DEFAULTS: lambda: self._written(option, self._lines),
            MODEL_STAGE: lambda: next(self._of_stages(option, model, stages), None),
            MODEL: lambda: self._of_card(option, model.defaults, MODEL.name, model),
            SIGNATURE: lambda: Given(option.default, s.NOWHERE, SIGNATURE.name),
        }
        return next(given for origin in PRECEDENCE if (given := places[origin]()) is not None)

    def _written(self, option: Option, place: Mapping[str, Written]) -> Given | None:
        if (written := place.get(option.name)) is None:
            return None
        value = option_values.read(option, written, self._choices, self._report)
        if value is option_values.REFUSED and not option.required:
            value = option.default  # it is told; what reckons with options goes on with one of its kind
        return Given(value, written.span, written.origin, written.source)

    def _of_stages(self, option: Option, model: ModelInfo, stages: Iterable[str]) -> Iterator[Given]:
        for stage in stages:
            given = self._of_card(option, model.stages.get(stage, {}), MODEL_STAGE.name.replace("…", stage), model)
            if given is not None:
                yield given

    def _of_card(self, option: Option, entry: Mapping[str, Any], origin: str, model: ModelInfo) -> Given | None:
        if option.name not in entry:
            return None
        value = entry[option.name]
        # A card is a file that somebody wrote by hand, so its values are checked like a recipe's.
        if not option.kind.takes(value):
            what = f"its card says {option.name}={value!r}, and that takes {option.kind}"
            self._report.add("RT416", s.NOWHERE, source=model.name, name=model.name, what=what)
            value = option.default  # as where a recipe's own is refused
        return Given(tuple(value) if option.kind.many and value is not None else value, s.NOWHERE, origin)

    def check(self, cards: Iterable[StageCard], theirs: Mapping[str, str]) -> None:
        """Report a default or a setting that no stage of the recipe has, or whose value none of them takes.

        theirs: names of values that a library keeps to itself, and which library.
        """
        known = [option for card in cards for option in options(card).values()] + [SEED]
        for name, written in (dict(self._lines) | self._settings).items():
            fitting = [option for option in known if option.name == name]
            for option in fitting:
                option_values.read(option, written, self._choices, self._report)
            if not fitting:
                if name in theirs:
                    mend = f"\"{theirs[name]}\" sets '{name}' for itself: let its def take it, def …({name}=…)"
                else:
                    names = {option.name for option in known}
                    mend = near(name, names) or "retouch stages lists the options of each stage"
                self._report.add("RT222", written.name, source=written.source, name=name, mend=mend)

    def check_read(self, nodes: Sequence[Node], fields: Set[str]) -> None:
        """Tell of a default or a setting that none of the stages that run reads.

        fields: names that stand in paths as {name}.
        """
        draws = any(port.type == "NoiseSource" for node in nodes for port in node.card.ports)
        for place, wins in ((self._settings, PRECEDENCE), (self._lines, (COMMAND_LINE, DEFAULTS))):
            for name, written in place.items():
                origins = {node.origin[name] for node in nodes if name in node.origin}
                if name == SEED.name:
                    read, why = draws or name in fields, "no stage draws noise"
                elif not origins:
                    read, why = False, "no stage that runs has it"
                else:
                    read = wins is PRECEDENCE or bool(origins & {origin.name for origin in wins})
                    why = "each stage that has it gives its own"
                if not read:
                    self._report.add("RT227", written.name, source=written.source, name=name, why=why)

    def beats(self, own: Given, name: str, setting: str) -> None:
        """Warn that the recipe gives an option its value, although the command line does, too."""
        self._report.add("RT225", own.span, source=own.source, setting=setting, name=name, value=_spelt(own.value))


def _spelt(value: Any) -> str:
    """Return the value as a recipe would write it, near enough for a message."""
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
