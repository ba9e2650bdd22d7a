"""Which models there are: those that plugins ship, folders of this machine, and those of the hub that were fetched.

A plugin ships a model through the hook `retouch_models`, which is read from its source: finding one imports nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from retouch.addresses import is_address, model_instead
from retouch.models import single_file
from retouch.models.beside import blamed_on
from retouch.models.errors import BrokenModel, MissingFile, NotFetched, UnknownModel
from retouch.models.files.model_files import InOneFile, ModelFiles
from retouch.models.hub import cache as hub
from retouch.models.info import ModelInfo, describe
from retouch.models.lora.fitting import with_loras
from retouch.near import near, near_or_all, near_path
from retouch.paths import is_there
from retouch.plugins import announced

__all__ = ["BrokenModel", "ModelInfo", "NotFetched", "UnknownModel", "find", "names"]


def names() -> list[str]:
    """Names of the models that plugins ship, in order."""
    return sorted(_shipped())


def find(
    name: str,
    revision: str | None = None,
    *,
    base: str | None = None,
    vae: str | None = None,
    lora: Sequence[str] = (),
) -> ModelInfo:
    """Look a model up by its name, its folder or file, or its id on the hub ("owner/name", or "owner/name@commit").

    Nothing is downloaded: a model of the hub that is not in the local cache is NotFetched.

    base: the model from which a single file takes its configs, its vocabularies, and the parts that it lacks.
    vae: the file or folder of a VAE that stands in for the model's own.
    lora: files that act beside its layers, each with its weight, as "style.safetensors*0.8".
    """
    files, commit = _files(name, revision, base, given=("vae",) if vae is not None else ())
    texts = (name, *(text for text in (base, vae) if text is not None))
    title = " + ".join(texts)
    try:
        info = describe(title, files, commit) if vae is None else _with_vae(title, files, commit, vae)
    except MissingFile:
        if commit and (known := hub.split(name)):
            raise NotFetched(known[0], commit, in_part=True) from None
        raise
    # Configs of a package go with its version, which is no part of what a result is made of.
    shipped = vae is None and revision is None and name in _shipped()
    info = replace(info, texts=texts, digest=info.weights if shipped else info.digest)
    return with_loras(info, lora) if lora else info


def _files(
    name: str, revision: str | None, base: str | None, given: tuple[str, ...] = ()
) -> tuple[ModelFiles, str | None]:
    """Where a model lies, and its commit if it is the hub's; given: parts that come from elsewhere."""
    if is_address(name) and not is_there(Path(name)):
        raise UnknownModel(f"'{name}' is a web address, and no model is looked for there", model_instead(name))
    if revision is None and (file := _place(name)) and (file.is_file() or single_file.is_weights(file)):
        if not file.exists():
            raise UnknownModel(f"there is no file '{name}'", near_path(name) or "name a file that is there")
        single_file.checked_header(file)
        if base is None:
            return single_file.model_in(file, None, given), None
        with blamed_on("base", base):
            return single_file.model_in(file, _base(base), given), None
    if base is not None:
        with blamed_on("base", base):
            raise BrokenModel(f"a base goes with a single file, and '{name}' is a model that has all of its parts")
    # What lies here goes before a model of the hub with that name.
    if revision is None and ((folder := _shipped().get(name)) or ((folder := _place(name)) and folder.is_dir())):
        return ModelFiles.of_folder(folder), None
    if known := hub.split(name):
        folder, commit = hub.snapshot(known[0], revision or known[1])
        return ModelFiles.of_folder(folder), commit
    if revision is not None:
        raise UnknownModel(f"'{name}' has a revision, but is not an id of the hub", "such an id is 'owner/name'")
    mend = near(name, names()) or near_path(name, folder=True) or near_path(name) or near_or_all(name, names())
    raise UnknownModel(f"no model is called '{name}', and no folder", mend)


def _base(name: str) -> ModelFiles:
    """A model beside a single file, or the name of configs that ship."""
    if folder := single_file.shipped().get(name):
        return ModelFiles.of_folder(folder)
    return _files(name, None, None)[0]


def _with_vae(title: str, files: ModelFiles, commit: str | None, vae: str) -> ModelInfo:
    """The model with another VAE, which is to blame for what is not wrong without it."""
    with blamed_on("vae", vae):
        other = files.other_part("vae", _vae(vae))
        # The config that decodes is the model's, so the weights have to be of its class
        own, its = (
            str(each.read("vae/config.json").get("_class_name")) if each.has_config("vae/config.json") else ""
            for each in (files, other)
        )
        if own and its and own != its:
            raise BrokenModel(f"it is an {its}, and this model decodes by an {own}")
    try:
        info = describe(title, other, commit)
    except MissingFile:
        raise
    except BrokenModel as why:
        # The model may be as broken without it: then that is what is told.
        if files.has("vae"):
            describe(title, files, commit)
        with blamed_on("vae", vae):
            raise why
    if "vae" not in info.known.parts:
        with blamed_on("vae", vae):
            raise BrokenModel(f"'{info.name.partition(' + ')[0]}' works on pixels and has no use for one")
    return info


def _vae(name: str) -> InOneFile | Path:
    """The VAE of a file, or the folder of one: its own, or a model's."""
    place = _place(name)
    if place is None or not place.exists():
        if not hub.split(name):
            raise UnknownModel(f"there is no VAE '{name}'", "name a folder of one, or a safetensors file")
        place = _files(name, None, None)[0].configs
    if place.is_file():
        return single_file.vae_in(place)
    folder = place if (place / "config.json").is_file() else place / "vae"
    if not (folder / "config.json").is_file():
        raise BrokenModel(f"'{name}' is no folder of a VAE: it has neither config.json nor vae/config.json")
    return folder


def _place(name: str) -> Path | None:
    """The folder or file of this name, or of a file that is not there; None if it is neither."""
    try:
        place = Path(name).expanduser()
        return place.resolve() if place.exists() or single_file.is_weights(place) else None
    except (OSError, RuntimeError, ValueError):  # no such user, a link to itself, a null
        return None


def _shipped() -> dict[str, Path]:
    """The folder of each model that a plugin brings; of two plugins the first keeps a name."""
    found: dict[str, Path] = {}
    for plugin in announced.everything():
        for name, folder in plugin.models().items():
            found.setdefault(name, folder)
    return found
