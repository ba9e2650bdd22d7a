"""A file that a stage names and that has to fit the model: asked of what reads it, told where it is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from retouch.check.reading.calls import StageCall
from retouch.lang.diagnostics import Report

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo

T = TypeVar("T")


def fitted(
    call: StageCall,
    values: Mapping[str, Any],
    model: ModelInfo,
    report: Report,
    code: str,
    read: Callable[[ModelInfo, Path], T],
) -> T | None:
    """What `read` makes of the file that the stage's `path` names; None where that is told, or there is none to read.

    code: of the error where it raises BrokenModel.
    """
    from retouch.models.errors import BrokenModel
    from retouch.models.info import ModelInfo

    path, shown = Path(str(values.get("path") or "")), call.given.get("path")
    if shown is None or not path.is_file() or not isinstance(model, ModelInfo):
        return None  # a file that is not there was told already
    try:
        return read(model, path)
    except BrokenModel as err:
        place = {"span": shown.span, "source": shown.source}
        report.add(code, **place, path=path.name, model=model.name, what=str(err).replace(str(path), path.name))
        return None
