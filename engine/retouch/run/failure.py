"""What went wrong in a stage, as a diagnostic at its place in the recipe."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from retouch.core.errors import NothingMasked, Unmet
from retouch.graph.nodes import Node
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.models.errors import BrokenModel
from retouch.pictures import UnfitMask, Unreadable, Unwritable
from retouch.plugins.registry import PluginError
from retouch.run.unheard import SameToTheModel


class NotFinite(Exception):
    """A stage made infinities, or what is no number."""


def check_finite(value: Any) -> Any:
    """The value, if all its numbers are finite; a device is waited for once."""
    finite = [torch.isfinite(tensor).all() for tensor in _tensors(value)]
    if finite and not bool(torch.stack([each.to(finite[0].device) for each in finite]).all()):
        raise NotFinite
    return value


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _tensors(getattr(value, each.name))


def diagnose(node: Node, error: BaseException, model: str = "") -> Diagnostic:
    """The diagnostic of a stage that failed."""
    report, stage = Report(), node.card.name
    path = str(node.options.get("path", ""))
    match error:
        case UnfitMask():
            report.add("RT417", node.span, path=Path(path).name, what=error.what, mend=error.mend)
        case Unreadable():
            report.add("RT504", node.span, path=Path(path).name, what=str(error))
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
        case NotFinite():
            report.add("RT505", node.span, stage=stage)
        case torch.OutOfMemoryError() | MemoryError():
            report.add("RT503", node.span, what=f"'{stage}'")
        case PluginError():
            facts: dict[str, Any] = {**error.fault.facts}
            report.add(error.fault.code, node.span, **facts)
        case _:
            report.add("RT501", node.span, stage=stage, what=_said(error, node), plugin=node.card.plugin or "retouch")
    return report.items[0]


def _said(error: BaseException, node: Node) -> str:
    """Its message, and the last line of the plugin's own file that it came through."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == node.card.file]
    where = f" ({Path(node.card.file).name}, line {lines[-1].lineno})" if lines else ""
    said = str(error).strip().splitlines()
    return (said[0] if said else type(error).__name__) + where
