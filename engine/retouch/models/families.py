"""Which families are installed, and which of them a model is of.

The hook `retouch_families` is read from its source; of the modules that it names one alone is imported, and no torch.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from retouch.models.errors import BrokenModel
from retouch.models.family import Described, ModelFamily, Read
from retouch.models.layout import INDEX, read_json
from retouch.plugins import announced


def installed() -> dict[str, str]:
    """Return "module:name" of the family for each class of pipeline; of two plugins the first keeps the class."""
    found: dict[str, str] = {}
    for plugin in announced.everything():
        for pipeline, where in plugin.families().items():
            found.setdefault(pipeline, where)
    return found


def named(pipeline: str) -> ModelFamily:
    """Import the family that reads pipelines of this class."""
    where = installed().get(pipeline)
    if where is None:
        raise BrokenModel(f"it is a '{pipeline}', and no installed family reads that; there are {_some()}")
    module, _, name = where.partition(":")
    try:
        return getattr(import_module(module), name or "FAMILY")
    except Exception as why:
        what = f"{type(why).__name__}: {why}"
        raise BrokenModel(f"the family of '{pipeline}', {where}, cannot be imported: {what}") from why


def pipeline_of(folder: Path) -> str:
    """Return the class that model_index.json states; folders of a Stable Diffusion may do without that file."""
    if not (folder / INDEX).exists() and (folder / "unet" / "config.json").exists():
        return "StableDiffusionPipeline"
    stated = read_json(folder, INDEX).get("_class_name")
    if not isinstance(stated, str):
        raise BrokenModel(f"{INDEX} of '{folder}' does not state its _class_name")
    return stated


def describe(pipeline: str, read: Read) -> Described:
    """Let the family of a pipeline describe a model of it."""
    return named(pipeline).describe(read)


def _some() -> str:
    return ", ".join(sorted(installed())) or "none"
