"""The safetensors file that a stage reads: described by its header before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.core.declared.tensor_files import DAMAGED, TensorHeader, UnfitFile
from retouch.graph.nodes import FromEngine, Input
from retouch.graph.ports import TENSORS
from retouch.lang.diagnostics import Report
from retouch.plugins.importing import surrounded


def with_tensors(inputs: Mapping[str, Input], call: StageCall, given: Given, report: Report) -> dict[str, Input]:
    """Say in the inputs what the file holds, as far as the stage's plugin tells; report one that it cannot read."""
    from retouch.models.errors import BrokenModel
    from retouch.models.single_file import checked_header

    port, path = next(port.name for port in call.card.ports if port.type == TENSORS), Path(str(given.value))
    if not path.is_file():
        return dict(inputs)  # told already
    module, _, name = call.card.tensors.partition(":")
    try:
        header = checked_header(path)
        said = TensorHeader(header.metadata, {key: (each.dtype, each.shape) for key, each in header.tensors.items()})
        with surrounded(module):
            facts: Mapping[str, float] = getattr(import_module(module), name)(said)
    except (BrokenModel, UnfitFile) as err:
        what = str(err).replace(str(path), path.name)
        mend = err.mend if isinstance(err, UnfitFile) else DAMAGED
        place = {"span": given.span, "source": given.source}
        report.add("RT579", **place, stage=call.card.name, path=path.name, what=what, mend=mend)
        return dict(inputs)
    return {**inputs, port: FromEngine(TENSORS, facts)}
