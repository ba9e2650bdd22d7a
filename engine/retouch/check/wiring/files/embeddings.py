"""Words that a stage teaches a model's text encoders: whether the family has a form for them, and a file fits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.reading.calls import StageCall
from retouch.check.wiring.files.fitting_files import fitted
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
    fitted(call, values, model, report, "RT465", lambda model, path: _check(model, path, str(values.get("word") or "")))


def _check(model: ModelInfo, path: Path, word: str) -> None:
    from retouch.models.embeddings import check

    check(model, path, word)
