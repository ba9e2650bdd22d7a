"""Which files of a repository an edit needs: configs, tokenizers, and one set of weights for each part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from retouch.models.files.layout import CARD, VARIANTS
from retouch.models.files.pickles import SUFFIXES
from retouch.models.hub.errors import CannotGet

INDEX = "model_index.json"
# Parts of pipelines that look at finished pictures, or at pictures instead of texts.
NOT_NEEDED = ("safety_checker", "feature_extractor", "image_encoder", "image_processor")
SMALL = (".json", ".txt", ".model", ".jinja")  # configs, vocabularies, merges, pieces, templates
LICENCES = ("license", "licence", "notice", "use_policy")


class Listed(NamedTuple):
    """One file of a repository."""

    path: str
    size: int
    digest: str  # SHA-256 of what lies in large-file storage, else git's SHA-1 of the blob
    large: bool = False


def choose(listed: Iterable[Listed], index: Mapping[str, Any], variant: str | None) -> list[Listed]:
    """The files that are needed, in order: the index, a card and licences, then each part.

    index: what model_index.json says.  variant: of the weights, such as "fp16"; by default the fullest precision.
    """
    files = {file.path: file for file in listed if _is_inside(file.path)}
    chosen = [
        file
        for path, file in files.items()
        if "/" not in path and (path in (INDEX, CARD) or path.lower().startswith(LICENCES))
    ]
    parts = [name for name, made in index.items() if isinstance(made, list) and any(made) and name not in NOT_NEEDED]
    heavy: dict[str, list[Listed]] = {}
    for part in parts:
        here = _lying_in(part, files) or _lying_in(".", files)  # beside the index, where a part has no folder
        chosen += [file for file in here if file.path.endswith(SMALL) and not _is_index(file.path)]
        if weights := _weights(f"'{part}'", here, variant):
            heavy[part] = weights
    chosen = list(dict.fromkeys(chosen))
    if not heavy:
        raise CannotGet("its parts have no weights", "name another model")
    if variant and not _are_of(variant, _all(heavy)):
        raise CannotGet(f"it has no weights of the variant '{variant}'", "leave --variant out")
    return [*chosen, *_all(heavy)]


def choose_alone(listed: Iterable[Listed], variant: str | None) -> list[Listed]:
    """The same of a repository that is one network, such as an image-text model or a VAE: all of it lies at the top."""
    here = _lying_in(".", {file.path: file for file in listed if _is_inside(file.path)})
    weights = _weights("it", here, variant)
    if not weights:
        raise CannotGet("it has no safetensors", "name another model")
    if variant and not _are_of(variant, weights):
        raise CannotGet(f"it has no weights of the variant '{variant}'", "leave --variant out")
    small = [file for file in here if file.path.lower().startswith(LICENCES) or file.path.endswith(SMALL)]
    return [*(file for file in small if not _is_index(file.path)), *weights]


def _are_of(variant: str, files: Iterable[Listed]) -> bool:
    """Whether any of these weights are of a variant."""
    return any(f".{variant}." in file.path or f".{variant}-" in file.path for file in files)


def _lying_in(folder: str, files: Mapping[str, Listed]) -> list[Listed]:
    return [file for path, file in files.items() if PurePosixPath(path).parent.as_posix() == folder]


def _all(heavy: Mapping[str, Sequence[Listed]]) -> list[Listed]:
    return list(dict.fromkeys(file for files in heavy.values() for file in files))


def _is_inside(path: str) -> bool:
    """Whether a path stays in the folder that it is put into."""
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not path.startswith("/") and "\\" not in path and ":" not in path


def _is_index(path: str) -> bool:
    return ".safetensors.index." in path or ".bin.index." in path


def _weights(part: str, here: Sequence[Listed], variant: str | None) -> list[Listed]:
    """One file, or an index and its shards; none for a part that has no weights, such as a tokenizer."""
    order = [variant, *(each for each in VARIANTS if each != variant)] if variant else VARIANTS
    names = {PurePosixPath(file.path).name: file for file in here}
    for stem in ("diffusion_pytorch_model", "model"):
        for each in order:
            said = f".{each}" if each else ""
            if whole := names.get(f"{stem}{said}.safetensors"):
                return [whole]
            if index := names.get(f"{stem}.safetensors.index{said}.json"):
                shards = [file for name, file in names.items() if _is_shard(name, f"{stem}{said}")]
                return [index, *shards]
    if pickles := [name for name in names if name.endswith(SUFFIXES)]:
        raise CannotGet(
            f"{part} has its weights in a pickle alone ('{pickles[0]}'), which can run code",
            "look for a conversion to safetensors among the model's branches (name@branch) or its relatives",
        )
    return []


def _is_shard(name: str, stem: str) -> bool:
    rest = name.removeprefix(f"{stem}-").removesuffix(".safetensors")
    return name.startswith(f"{stem}-") and name.endswith(".safetensors") and rest[:5].isdigit() and "-of-" in rest
