"""Which model a recipe works with: the command line's, its own, or the one that ships with the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retouch.cards import Kind, Option
from retouch.graph import values
from retouch.graph.scope import Scope
from retouch.graph.world import World, Written
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.models.errors import BrokenModel, UnknownModel

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo

SHIPPED = "storybook"
_OPTIONS = {name: Option(name, name, Kind("text")) for name in ("name", "revision")}


def find_model(line: s.Stage | None, world: World, scope: Scope, report: Report) -> ModelInfo | None:
    """The model, looked up without its weights; None, and a diagnostic, if it cannot be used."""
    written = _written(line, scope, report) if line else {}
    if written is None:
        return None
    read = {name: values.read(_OPTIONS[name], value, report) for name, value in written.items()}
    if values.REFUSED in read.values():
        return None
    if world.model is not None:
        return _look_up(world.model, None, world, report, s.NOWHERE, f"--model {world.model}")
    place = written["name"].span if "name" in written else s.NOWHERE
    return _look_up(read.get("name", SHIPPED), read.get("revision"), world, report, place, None)


def _written(line: s.Stage, scope: Scope, report: Report) -> dict[str, Written] | None:
    """The name and the revision as the recipe's line gives them."""
    given = {"name": line.operand[0]} if line.operand else {}
    for option in line.options:
        name = option.name.name
        if name not in _OPTIONS:
            report.add("RT205", option.name.span, stage="model", name=name, mend="options: name, revision")
            return None
        given[name] = option.value
    if "name" not in given:
        report.add("RT223", line.span, stage="model", what="needs a name", mend='write model "storybook"')
        return None
    written = {name: scope.written(value, "recipe") for name, value in given.items()}
    return {name: value for name, value in written.items() if value} if all(written.values()) else None


def _look_up(
    name: str, revision: str | None, world: World, report: Report, span: s.Span, source: str | None
) -> ModelInfo | None:
    try:
        return world.find_model(name, revision)
    except UnknownModel as err:
        report.add("RT412", span, source=source, name=name, mend=str(err))
    except BrokenModel as err:
        report.add("RT416", span, source=source, name=name, what=str(err))
    return None
