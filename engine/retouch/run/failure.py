"""What went wrong in a stage, as a diagnostic at its place in the recipe."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from retouch.core.errors import BrokenTouch, NothingMasked, Unmet
from retouch.graph.nodes import Node
from retouch.graph.unheard import SameToTheModel
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.models.errors import BrokenModel
from retouch.pictures import UnfitMask, Unreadable, Unwritable
from retouch.plugins.registry import PluginError
from retouch.plugins.signatures import StageCard
from retouch.run.care import WroteInPlace
from retouch.run.results import NotFinite, WrongResult


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose code a failure comes from: the plugin of each top module, and which of them come with the engine."""

    plugins: Mapping[str, str] = field(default_factory=dict[str, str])
    built_in: Collection[str] = ()

    @classmethod
    def of(cls, cards: Iterable[StageCard], built_in: Collection[str]) -> Blame:
        """Learn the modules from the cards."""
        return cls({card.module.partition(".")[0]: card.plugin for card in cards}, built_in)

    def plugin_of(self, module: str) -> str:
        """The plugin that a module is of; empty for those of none."""
        return self.plugins.get(module.partition(".")[0], "")

    def stranger(self, module: object) -> str:
        """The plugin that a module is of, if that does not come with the engine; else empty."""
        plugin = self.plugin_of(str(module))
        return plugin if plugin not in self.built_in else ""

    def culprit(self, error: BaseException, node: Node) -> str:
        """The plugin whose code failed: the innermost stranger's that the error came through, else the stage's own."""
        found = node.card.plugin
        for frame, _ in traceback.walk_tb(error.__traceback__):
            found = self.stranger(frame.f_globals.get("__name__")) or found
        return found


NOBODY = Blame()


def diagnose(node: Node, error: BaseException, model: str = "", blame: Blame = NOBODY) -> Diagnostic:
    """The diagnostic of a stage that failed."""
    plugin = blame.culprit(error, node) or "retouch"
    report, stage = Report(), node.card.name
    path = str(node.options.get("path", ""))
    match error:
        case UnfitMask():
            report.add("RT417", node.span, path=Path(path).name, what=error.what, mend=error.mend)
        case Unreadable():
            report.add("RT504", node.span, path=Path(path).name, what=error.about(path))
        case Unwritable() | OSError():
            what = getattr(error, "strerror", None) or str(error).removeprefix(f"'{path}' cannot be written: ")
            report.add("RT507", node.span, path=path, what=what)
        case Unmet():
            report.add("RT502", node.span, metric=error.metric, value=error.value, wanted=error.wanted)
        case NothingMasked():
            report.add("RT510", node.span, stage=stage)
        case BrokenModel():
            report.add("RT416", node.span, name=model, what=str(error))
        case SameToTheModel():
            report.add("RT511", node.span, stage=stage, why=error.why, mend=error.mend)
        case NotFinite() | WrongResult() | WroteInPlace():
            _add_of_plugin(report, node, error, plugin)
        case BrokenTouch():
            told = blame.plugin_of(error.module) or plugin
            report.add("RT518", node.span, stage=stage, plugin=told, what=str(error))
        case torch.OutOfMemoryError() | MemoryError():
            report.add("RT503", node.span, what=f"'{stage}'")
        case PluginError():
            facts: dict[str, Any] = {**error.fault.facts}
            report.add(error.fault.code, node.span, **facts)
        case _:
            what = _said(error, node, blame)
            report.add("RT501", node.span, stage=stage, what=what, plugin=plugin)
    return report.items[0]


def _add_of_plugin(report: Report, node: Node, error: NotFinite | WrongResult | WroteInPlace, plugin: str) -> None:
    """What was wrong with a result, or with how it was made."""
    stage = node.card.name
    match error:
        case NotFinite():
            report.add("RT505", node.span, stage=stage)
        case WroteInPlace():
            report.add("RT517", node.span, stage=stage, port=error.port, plugin=plugin)
        case WrongResult():
            # Of a function that one stage made and another calls, the maker is told.
            told = error.plugin or plugin
            report.add("RT515", node.span, stage=stage, wanted=error.wanted, got=error.got, plugin=told)


def _said(error: BaseException, node: Node, blame: Blame) -> str:
    """Its message, and the last line of the plugin's own file that it came through."""
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == node.card.file or blame.stranger(frame.f_globals.get("__name__"))
    ]
    where = f" ({Path(lines[-1][0]).name}, line {lines[-1][1]})" if lines else ""
    if isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
        return f"it raised {type(error).__name__}, which ends its own picture alone{where}"
    said = str(error).strip().splitlines()
    return (said[0] if said else type(error).__name__) + where
