"""What a file or folder of weights is, and what can be done with it, without loading it: headers and configs alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from retouch.models.errors import BrokenModel
from retouch.models.files.headers import BITS, Stored, read_header
from retouch.models.files.kinds import WeightsKind, kind_of
from retouch.models.files.layout import read_json, stored_tensors
from retouch.models.files.model_files import ModelFiles
from retouch.models.files.pickles import is_pickle, refusal
from retouch.models.info import ModelInfo, describe
from retouch.models.single_file import NETWORK, NETWORKS, model_in
from retouch.near import near_path

# Where the parts of a whole model lie in a single file.
_PARTS = {
    "model.diffusion_model.": "network",
    "first_stage_model.": "VAE",
    "vae.": "VAE",
    "cond_stage_model.": "text encoder",
    "conditioner.": "text encoder",
    "text_encoders.": "text encoder",
}


@dataclass(frozen=True, slots=True)
class PartSize:
    """One part of a model, by its tensors."""

    bytes: int
    numbers: int
    precisions: tuple[str, ...]  # of most bytes first


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a look says."""

    what: str
    role: str
    family: str
    format: str
    bytes: int
    numbers: int
    precisions: tuple[str, ...]
    parts: Mapping[str, PartSize] = field(default_factory=dict[str, PartSize])
    can: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def look_into(path: Path) -> Recognised:
    """Say what a safetensors file or a model's folder is.  Raises BrokenModel."""
    if os.path.isdir(path):
        parts = {name: measured(stored) for name, stored in _weights_in(path)}
        index = read_json(path, "model_index.json") if (path / "model_index.json").is_file() else {}
        if not parts and not index:
            single = sorted(path.name for path in path.iterdir() if path.suffix == ".safetensors" or is_pickle(path))
            raise BrokenModel(f"'{path}' is no model's folder{f'; look into its files: {single[0]}' if single else ''}")
        count, numbers = 0, 0
        precisions: dict[str, None] = {}
        for part in sorted(parts.values(), key=lambda each: -each.bytes):
            count, numbers = count + part.bytes, numbers + part.numbers
            precisions |= dict.fromkeys(part.precisions)
        whole = PartSize(count, numbers, tuple(precisions))
        pipeline = str(index.get("_class_name", "a pipeline that is not named"))
        can, cannot, what, family = (), (), f"a folder for {pipeline}", ""
        try:
            info = describe(str(path), path)
            family = next((name for name, width in (("sd1", 768), ("sd2", 1024)) if _reads(info) == width), info.family)
            what = f"{info.family}, {info.trained_size} pixels, in the layout of diffusers"
            can = _abilities(info, path)
        except BrokenModel as why:
            cannot = (f"be edited with: {why}",)
        return Recognised(
            what, "model", family, "diffusers", whole.bytes, whole.numbers, whole.precisions, parts, can, cannot
        )
    if not os.path.exists(path):  # false, not an error, for a name that no system takes
        meant = near_path(str(path)) or near_path(str(path), folder=True)
        raise BrokenModel(f"there is no '{path}'{meant and f'; {meant}'}")
    if is_pickle(path):
        raise BrokenModel(refusal(path))
    if path.suffix.lower() == ".gguf":
        raise BrokenModel(f"'{path.name}' is a GGUF file, and weights are read from safetensors")
    header = read_header(path)
    kind = kind_of(header.tensors)
    whole = measured(header.tensors.values())
    whose = any(name.startswith(NETWORK) for name in header.tensors)
    if whose and (kind is None or kind.role not in ("model", "network", "controlnet")):
        _, cannot = _as_model(path)
        return _seen("a model of a size that is not known here", None, whole, _parts(header.tensors), cannot)
    if kind is None:
        return _seen("weights that are not known here", None, whole, cannot=("be used: no row of the table fits it",))
    parts = _parts(header.tensors) if kind.role == "model" else {}
    lacking = [part for part in ("VAE", "text encoder") if kind.role == "model" and part not in parts]
    notes = (*kind.notes, *(f"it has no {part} of its own" for part in lacking))
    can, cannot = _uses(kind, path)
    return replace(_seen(kind.title, kind, whole, parts, cannot, notes), can=can)


def _seen(
    what: str,
    kind: WeightsKind | None,
    whole: PartSize,
    parts: Mapping[str, PartSize] | None = None,
    cannot: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Recognised:
    role, family, format_ = (kind.role, kind.family, kind.format) if kind else ("unknown", "", "")
    return Recognised(
        what, role, family, format_, whole.bytes, whole.numbers, whole.precisions, parts or {}, (), cannot, notes
    )


def _uses(kind: WeightsKind, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What can be done with a single file of this kind, and what cannot."""
    alone = (f"be run alone: it is {kind.title}",)
    match kind.role:
        case "lora" if kind.format in ("dora", "oft"):
            return (), (f"be applied: {kind.format.upper()} is another arithmetic than LoRA's",)
        case "lora":
            return (f'act beside a model: model "…" lora=["{path}*0.8"]',), alone
        case "vae":
            return (f'stand in for a model\'s own: model "…" vae="{path}"',), alone
        case "model" | "network":
            return _as_model(path)
        case _:
            return (), alone


def _as_model(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        info = describe(str(path), model_in(path, None))
    except BrokenModel as why:
        return (), (f"be edited with as it is: {why}",)
    return _abilities(info, path), ()


def _abilities(info: ModelInfo, path: Path) -> tuple[str, ...]:
    reads = f"read prompts of {info.tokens - 2} tokens" if info.known.reads_words else "read no prompt"
    return (
        f'be edited with: model "{path}"',
        f"take pictures up to {info.largest_side} pixels a side, in steps of {info.multiple}",
        f"{reads}; it predicts {info.prediction}",
    )


def _reads(info: ModelInfo) -> Any:
    return info.files.read("unet/config.json").get("cross_attention_dim") if "unet" in info.known.parts else None


def _weights_in(folder: Path) -> Iterable[tuple[str, list[Stored]]]:
    places = {part: at for part, at in ModelFiles.of_folder(folder).elsewhere.items() if part in NETWORKS}
    for name, part in {**{each.name: each for each in sorted(folder.iterdir()) if each.is_dir()}, **places}.items():
        for stem in ("diffusion_pytorch_model", "model"):
            whole = sorted(path for path in part.glob(f"{stem}*.safetensors") if "-of-" not in path.name)
            if found := [*whole, *sorted(part.glob(f"{stem}.safetensors.index*.json"))]:
                yield name, [stored for _, stored in stored_tensors(found[0]).values()]
                break


def _parts(tensors: Mapping[str, Stored]) -> dict[str, PartSize]:
    found: dict[str, list[Stored]] = {}
    for name, stored in tensors.items():
        part = next((part for prefix, part in _PARTS.items() if name.startswith(prefix)), "network")
        found.setdefault(part, []).append(stored)
    return {part: measured(stored) for part, stored in found.items()}


def measured(stored: Iterable[Stored]) -> PartSize:
    """Bytes, numbers and types of some tensors."""
    count, numbers = Counter[str](), 0
    for each in stored:
        count[each.dtype] += each.numbers * BITS[each.dtype] // 8
        numbers += each.numbers
    return PartSize(count.total(), numbers, tuple(dtype for dtype, _ in count.most_common()))
