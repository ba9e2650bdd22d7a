"""Words that a stage teaches a model's text encoders: whether the family has a form for them, and a file fits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.reading.calls import StageCall
from retouch.graph.nodes import FromNode, Input
from retouch.lang.diagnostics import Report

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo


def check_embedding(
    call: StageCall, values: Mapping[str, Any], inputs: Mapping[str, Input], model: ModelInfo, report: Report
) -> None:
    """Report a model whose text encoders cannot be taught a word, and a file that holds none for them.

    Of what is saved: report a text encoder that no stage has taught any.
    """
    if call.card.takes("Outbox") and call.card.takes("TextEncoder") and not isinstance(inputs.get("texts"), FromNode):
        report.add("RT467", call.span, stage=call.card.name)
    if call.card.output != "TextEncoder" or not model.known.reads_words:
        return
    if not model.known.learns_words:
        report.add("RT466", call.span, stage=call.card.name, model=model.name)
        return
    path, shown = Path(str(values.get("path") or "")), call.given.get("path")
    if shown is None or not path.is_file():
        return  # a file that is not there was told already
    from retouch.models.embeddings import check
    from retouch.models.errors import BrokenModel
    from retouch.models.info import ModelInfo

    if not isinstance(model, ModelInfo):
        return
    try:
        check(model, path, str(values.get("word") or ""))
    except BrokenModel as err:
        place = {"span": shown.span, "source": shown.source}
        report.add("RT465", **place, path=path.name, model=model.name, what=str(err))
