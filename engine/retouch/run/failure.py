"""What went wrong in a stage, as a diagnostic at its place in the recipe."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from retouch.core.declared.tensor_files import UnfitFile
from retouch.core.device.repeatable import UNORDERED
from retouch.core.errors import (
    BrokenTouch,
    Diverged,
    NothingLifted,
    NothingMasked,
    NothingOpaque,
    SameToTheModel,
    TooLarge,
    UnfitSize,
    Unmet,
)
from retouch.graph.nodes import Node
from retouch.graph.sides import too_large, unfit
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.models.errors import BrokenModel
from retouch.models.strange_family import FamilyFault
from retouch.pictures import Changed, UnfitMask, Unreadable, Unwritable
from retouch.plugins.interrupts import is_stop
from retouch.plugins.registry import PluginError
from retouch.plugins.signatures import StageCard
from retouch.run.files.signers import Unfit
from retouch.run.strangers.care import WroteInPlace
from retouch.run.strangers.wrong_results import NotFinite, WrongResult


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose code a failure comes from: the plugin of each top module, and which of them come with the engine."""

    plugins: Mapping[str, str] = field(default_factory=dict[str, str])
    built_in: Collection[str] = ()

    @classmethod
    def of(cls, cards: Iterable[StageCard], built_in: Collection[str], families: Mapping[str, str]) -> Blame:
        """Learn the modules from the cards.  families: plugins of strangers' families of models, by module."""
        modules = {**families, **{card.module: card.plugin for card in cards}}
        return cls({module.partition(".")[0]: plugin for module, plugin in modules.items()}, built_in)

    def plugin_of(self, module: str) -> str:
        """The plugin that a module is of; empty for those of none."""
        return self.plugins.get(module.partition(".")[0], "")

    def stranger(self, module: object) -> str:
        """The plugin that a module is of, if that does not come with the engine; else empty."""
        plugin = self.plugin_of(str(module))
        return plugin if plugin not in self.built_in else ""

    def culprit(self, error: BaseException, node: Node) -> str:
        """The plugin whose code failed: the innermost stranger's that the error came through, else the stage's own."""
        return next((plugin for _, _, plugin in self._frames(error)), node.card.plugin)

    def stage(self, error: BaseException, node: Node, feeding: Sequence[Node]) -> Node:
        """The stage whose code failed: the node's own, or one that made a function which it was given."""
        for function, module, plugin in self._frames(error):
            of = [each for each in (node, *feeding) if each.card.plugin == plugin]
            near = [each for each in of if each.card.module == module] or of
            if found := [each for each in near if each.card.function == function] or near:
                return found[0]
        return node

    def _frames(self, error: BaseException) -> Iterator[tuple[str, str, str]]:
        """Outer function, module and plugin of the strangers' code that an error came through, innermost first."""
        for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
            module = str(frame.f_globals.get("__name__"))
            if plugin := self.stranger(module):
                yield frame.f_code.co_qualname.partition(".")[0], module, plugin


NOBODY = Blame()
_HINTS = (
    ("coroutine", "; is an 'await' missing?"),
    ("no running event loop", "; a stage awaits what retouch.api gives it, and nothing of asyncio's"),
)
_HALF = "run with --dtype float32; if it was, with a lower guidance or more steps"


def diagnose(
    node: Node, error: BaseException, model: str = "", blame: Blame = NOBODY, feeding: Sequence[Node] = ()
) -> Diagnostic:
    """The diagnostic of a stage that failed; of a function that it was given, that of the stage which made it.

    feeding: the stages whose values it takes, and theirs.
    """
    report, path = Report(), str(node.options.get("path", ""))
    match error:
        case UnfitMask():
            report.add("RT417", node.span, path=Path(path).name, what=error.what, mend=error.mend)
        case Unreadable():
            code = "RT583" if isinstance(error, Changed) else "RT504"
            report.add(code, node.span, path=Path(error.path).name, what=error.about, mend=error.mend)
        case Unwritable() | OSError() if isinstance(error, Unwritable) or _is_of(error, path):
            refused = error if isinstance(error, Unwritable) else Unwritable.of(path, error)
            report.add("RT507", node.span, path=path, what=refused.what, mend=refused.mend)
        case Unfit():
            report.add("RT460", node.span, path=path, what=error.what, mend=error.mend)
        case Unmet():
            report.add("RT502", node.span, metric=error.metric, value=error.value, wanted=error.wanted)
        case UnfitSize() | TooLarge() | NothingMasked() | NothingLifted() | NothingOpaque():
            _add_of_picture(report, node, error)
        case BrokenModel() | UnfitFile():
            _add_of_tensors(report, node, error, model)
        case Diverged():
            report.add("RT469", node.span, stage=node.card.name, step=error.step)
        case SameToTheModel():
            report.add("RT511", node.span, stage=node.card.name, why=error.why, mend=error.mend)
        case torch.OutOfMemoryError() | MemoryError():
            report.add("RT503", node.span, what=f"'{node.card.name}'")
        case PluginError():
            facts: dict[str, Any] = error.fault.placed
            report.add(error.fault.code, node.span, **facts)
        case _:
            _add_of_plugin(report, node, error, blame, feeding)
    return report.items[0]


def of_size(maker: Node, made: str, found: Diagnostic, blame: Blame) -> Diagnostic:
    """The diagnostic of a failure behind a stranger's stage that made another size and states none, at that stage."""
    report = Report()
    report.add("RT132", maker.span, stage=maker.card.name, made=made, what=found.message, plugin=_author(maker, blame))
    return report.items[0]


def _is_of(error: OSError, path: str) -> bool:
    """Whether it is about the file that the recipe names, not about another that a plugin's code opens."""
    named = error.filename
    return bool(path) and (not isinstance(named, str | bytes) or Path(path).name[:64] in os.fsdecode(named))


def _add_of_tensors(report: Report, node: Node, error: BrokenModel | UnfitFile, name: str) -> None:
    """What is wrong with a model's files, with the family that reads them, or with a file that a stage reads."""
    if isinstance(error, UnfitFile):
        path = Path(str(node.options.get("path", ""))).name
        report.add("RT579", node.span, stage=node.card.name, path=path, what=error.what, mend=error.mend)
    elif isinstance(error, FamilyFault):
        report.add("RT576", node.span, family=error.family, plugin=error.plugin, what=error.what)
    else:
        report.add("RT416", node.span, name=name, what=str(error))


def _add_of_picture(
    report: Report, node: Node, error: UnfitSize | TooLarge | NothingMasked | NothingLifted | NothingOpaque
) -> None:
    """What a picture is, or lacks, so that a stage cannot begin."""
    match error:
        case UnfitSize():
            report.add("RT560", node.span, **unfit(node, error.size))
        case TooLarge():
            mend = "let its mask hold less; or make the picture smaller: open … size=4096"
            facts = too_large("so large a part", error.count, mend)
            report.add("RT582", node.span, stage=node.card.name, **facts)
        case NothingMasked():
            report.add("RT510", node.span, stage=node.card.name)
        case NothingLifted():
            report.add("RT575", node.span, stage=node.card.name, what=error.what, mend=error.mend)
        case NothingOpaque():
            lower = math.floor(error.most * 90) / 100  # a little below the most, as an option would be written
            mend = f"write opacity={lower:g}" if lower >= 0.01 else "fit the field to pictures that show something"
            asked, most = f"{error.asked:g}", f"{error.most:.2g}"
            report.add("RT245", node.span, stage=node.card.name, asked=asked, most=most, mend=mend)


def _add_of_plugin(report: Report, node: Node, error: BaseException, blame: Blame, feeding: Sequence[Node]) -> None:
    """What was wrong with a result, or with how it was made."""
    match error:
        case NotFinite() if (error.maker is None or error.maker is node) and (guard := error.family):
            report.add("RT577", node.span, family=guard.family, plugin=guard.plugin, mend=_HALF)
        case NotFinite():
            maker = error.maker or node
            stranger = maker.card.plugin not in blame.built_in and blame is not NOBODY
            mend = f"report it to {_author(maker, blame)}; or {_HALF}" if stranger else _HALF
            report.add("RT505", maker.span, stage=maker.card.name, mend=mend)
        case WrongResult():
            maker = error.maker or node
            facts: dict[str, Any] = {"wanted": error.wanted, "got": error.got, "plugin": _author(maker, blame)}
            report.add("RT515", maker.span, stage=maker.card.name, **facts)
        case WroteInPlace():
            plugin = blame.culprit(error, node)
            told = _author(node, blame) if plugin == node.card.plugin else plugin or "retouch"
            report.add("RT517", node.span, stage=node.card.name, port=error.port, plugin=told)
        case BrokenTouch():
            plugin = blame.plugin_of(error.module) or blame.culprit(error, node) or "retouch"
            maker = next((each for each in (node, *feeding) if each.card.module == error.module), node)
            report.add("RT518", maker.span, stage=maker.card.name, plugin=plugin, what=str(error))
        case _:
            maker, plugin = blame.stage(error, node, feeding), blame.culprit(error, node) or "retouch"
            report.add("RT501", maker.span, stage=maker.card.name, what=_said(error, node, blame), plugin=plugin)


def _author(node: Node, blame: Blame) -> str:
    """The plugin that a stage is of, and for a stranger's where it stands."""
    card = node.card
    at = f" ({Path(card.file).name}, line {card.line})" if card.file and blame.stranger(card.module) else ""
    return f"{card.plugin or 'retouch'}{at}"


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
    # The first line; of an error that cannot even say that, its type
    try:
        said = str(error).strip().splitlines()
    except BaseException as err:
        if is_stop(err):
            raise
        said = []
    if said and UNORDERED in said[0]:
        said[0] = f"{said[0].split()[0]} adds up in no fixed order on a GPU, as exact mode asks; --exact has to go"
    if said and isinstance(error, KeyError):  # whose message is the key alone
        said[0] = f"{type(error).__name__}: {said[0]}"
    hint = next((hint for words, hint in _HINTS if said and words in said[0]), "")
    return (said[0] if said else type(error).__name__) + hint + where
