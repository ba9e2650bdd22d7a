"""The folder that a stage opens as one thing: described before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.core.declared.folders import UnfitFolder
from retouch.graph.folders import described
from retouch.graph.nodes import FromEngine, Input
from retouch.graph.ports import FOLDER
from retouch.lang.diagnostics import Report


def with_folder(inputs: Mapping[str, Input], call: StageCall, given: Given, report: Report) -> dict[str, Input]:
    """Say in the inputs what the folder holds; report what keeps the stage from opening it."""
    port = next(port.name for port in call.card.ports if port.type == FOLDER)
    folder = Path(str(given.value))
    try:
        said, digest = described(call.card.folder, folder)
    except UnfitFolder as err:
        facts: dict[str, Any] = {"path": folder.name, "stage": call.card.name, "what": err.what, "mend": err.mend}
        report.add(err.code, given.span, source=given.source, **facts)
        return dict(inputs)
    for what, mend in said.doubts:
        facts = {"path": folder.name, "stage": call.card.name, "what": what, "mend": mend}
        report.add("RT584", given.span, source=given.source, **facts)
    settings = {**said.facts, "folder": str(folder), "digest": digest, "held": list(said.files)}
    return {**inputs, port: FromEngine(FOLDER, settings)}
