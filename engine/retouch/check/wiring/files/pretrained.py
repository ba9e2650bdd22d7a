"""Networks that a stage names beside the model: found, and of a kind that it reads, before anything loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retouch.check.reading.calls import StageCall
from retouch.check.reading.option_values import REFUSED
from retouch.graph.nodes import FromEngine, Input
from retouch.lang.diagnostics import Report

PORT = "Pretrained"


def with_pretrained(
    inputs: Mapping[str, Input], call: StageCall, values: Mapping[str, Any], report: Report
) -> dict[str, Input]:
    """Say in the inputs where the network lies that the stage's option `name` names; report what cannot be used."""
    name = values.get("name")
    if not isinstance(name, str) or name is REFUSED:
        return dict(inputs)  # told already
    settings = _found(name, call, report)
    return {
        port: FromEngine(PORT, {**given.settings, **settings})
        if isinstance(given, FromEngine) and given.type == PORT
        else given
        for port, given in inputs.items()
    }


def _found(name: str, call: StageCall, report: Report) -> dict[str, Any]:
    from retouch.models.errors import BrokenModel, NotFetched, UnknownModel
    from retouch.models.pretrained import find

    given, kinds = call.given.get("name"), call.card.pretrained
    span, source = (given.span, given.source) if given else (call.span, None)
    mend = f"name the folder of a {' or '.join(kinds) or 'network'}, with config.json and safetensors"
    try:
        files = find(name)
        if kinds and files.kind not in kinds:
            raise BrokenModel(
                f"it is a {files.kind or 'network of no known kind'}, and this reads {' or '.join(kinds)}"
            )
        return {"folder": str(files.folder), "files": ((Path(name).name, str(files.weights), files.digest),)}
    except UnknownModel as err:
        what, mend = err.what, err.mend
    except NotFetched as err:
        what, mend = str(err), f"run '{err.command}'"
    except BrokenModel as err:
        what = str(err)
    report.add("RT450", span, source=source, stage=call.card.name, name=Path(name).name, what=what, mend=mend)
    return {}
