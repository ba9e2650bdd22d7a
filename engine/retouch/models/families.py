"""Which families are installed, and which of them a model is of.

The hook `retouch_families` is read from its source; of the modules that it names one alone is imported, and no torch.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, get_args, get_type_hints

from retouch.core.declared.touches import Site
from retouch.models.errors import BrokenModel
from retouch.models.family import Described, ModelFamily, Read, WorkingMemory
from retouch.models.files.layout import INDEX, read_json
from retouch.models.prompts.tokens import PromptReading
from retouch.plugins import announced
from retouch.plugins.discovery import is_built_in
from retouch.plugins.importing import imported, surrounded
from retouch.plugins.interrupts import is_stop


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
        some = ", ".join(sorted(installed())) or "none"
        raise BrokenModel(f"it is a '{pipeline}', and no installed family reads that; there are {some}")
    module, _, name = where.partition(":")
    try:
        family: Any = getattr(imported(module), name or "FAMILY")
    except BaseException as why:  # whatever a stranger's module raises
        if is_stop(why):
            raise
        what = f"{type(why).__name__}: {why}".removesuffix(": ")
        raise BrokenModel(f"the family of '{pipeline}', {where}, cannot be imported: {what}") from why
    if lacks := [each for each in ("describe", "schedule", "load") if not callable(getattr(family, each, None))]:
        raise at_fault(pipeline, f"it has no {lacks[0]}()")
    if not isinstance(getattr(family, "name", None), str):
        raise at_fault(pipeline, "it has no name, a text")
    return family


def module_of(pipeline: str) -> str:
    """Return the module whose family reads pipelines of this class; empty if none does."""
    return installed().get(pipeline, "").partition(":")[0]


def is_strangers(pipeline: str) -> bool:
    """Whether the family that reads pipelines of this class does not come with the engine."""
    module = module_of(pipeline)
    return bool(module) and not is_built_in(module)


def plugin_of(pipeline: str) -> str:
    """Return the name of the plugin whose family reads pipelines of this class, or else of its module."""
    where = installed().get(pipeline, "")
    whose = (each.plugin.name for each in announced.everything() if each.families().get(pipeline) == where)
    return next(whose, where.partition(".")[0].partition(":")[0])


def of_another(kind: str, pipeline: str) -> bool:
    """Whether weights of a kind, such as "sdxl", are those of another installed family, by what both of them claim."""
    return not _claims(pipeline, kind) and any(_claims(each, kind) for each in installed())


def _claims(pipeline: str, kind: str) -> bool:
    with suppress(BrokenModel):  # told where a model of it is asked for
        return kind in getattr(named(pipeline), "kinds", ())
    return False


def pipeline_of(folder: Path) -> str:
    """Return the class that model_index.json states; folders of a Stable Diffusion may do without that file."""
    if not (folder / INDEX).exists() and (folder / "unet" / "config.json").exists():
        return "StableDiffusionPipeline"
    stated = read_json(folder, INDEX).get("_class_name")
    if not isinstance(stated, str):
        raise BrokenModel(f"{INDEX} of '{folder}' does not state its _class_name")
    return stated


def describe(pipeline: str, read: Read) -> Described:
    """Let the family of a pipeline describe a model of it.  Raises BrokenModel where it says what no family may."""
    try:
        family = named(pipeline)
        with surrounded(installed()[pipeline].partition(":")[0]):
            known: object = family.describe(read)
    except (BrokenModel, LookupError, TypeError, ArithmeticError, AttributeError, OSError):
        raise  # as a config makes them that lacks or misstates something
    except BaseException as why:
        if is_stop(why):
            raise
        what = f"its describe() raises {type(why).__name__}: {why}".removesuffix(": ")
        raise at_fault(pipeline, what) from why
    if not isinstance(known, Described):
        raise at_fault(pipeline, f"its describe() gives a {type(known).__name__}, not a Described")
    for name in ("channels", "scale", "multiple", "trained_size", "tokens"):
        least = -1 if name == "tokens" else 0  # of a network that reads no text there are none
        if type(count := getattr(known, name)) is not int or count <= least:
            raise at_fault(pipeline, f"{name} is {count!r}, and not a whole number above {least}")
    if known.prediction not in get_args(get_type_hints(Described)["prediction"]):
        raise at_fault(pipeline, f"prediction is {known.prediction!r}, which is of no kind")
    if strange := [site for site in known.sites if not isinstance(site, Site)]:
        raise at_fault(pipeline, f"{strange[0]!r} among its sites is no Site")
    if strange := [how for how in known.reads.values() if not isinstance(how, PromptReading)]:
        raise at_fault(pipeline, f"{strange[0]!r} among its reads is no PromptReading")
    if not isinstance(known.working, WorkingMemory | None):
        raise at_fault(pipeline, f"working is {known.working!r}, and no WorkingMemory")
    if known.working and min(numbers := astuple(known.working)) < 0:
        raise at_fault(pipeline, f"working has {min(numbers):g} numbers, which is less than nothing")
    return known


def at_fault(pipeline: str, what: str) -> BrokenModel:
    """The error that names a family that breaks its contract, and where it is from."""
    return BrokenModel(f"the family of '{pipeline}', {installed().get(pipeline)}, is at fault: {what}")
