"""LoRA files that a stage sets beside the model: held to it by headers, before anything loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.reading.calls import StageCall
from retouch.lang.diagnostics import Report

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo


def check_adapters(call: StageCall, values: Mapping[str, Any], model: ModelInfo, report: Report) -> None:
    """Report a file that is no LoRA of this model, and tell of what it holds that the denoiser does not take."""
    path, shown = Path(str(values.get("path") or "")), call.given.get("path")
    if not call.card.takes("Adapters") or shown is None or not path.is_file():
        return  # a file that is not there was told already
    from retouch.models.errors import BrokenModel
    from retouch.models.info import ModelInfo
    from retouch.models.lora.fitting import left_beside
    from retouch.models.lora.layers import Lora

    if not isinstance(model, ModelInfo):
        return
    place = {"span": shown.span, "source": shown.source}
    try:
        left = left_beside(model, Lora(path))
    except BrokenModel as err:
        report.add("RT434", **place, path=path.name, model=model.name, what=str(err))
        return
    if left:
        report.add("RT432", **place, name=path.name, count=len(left), first=left[0])
