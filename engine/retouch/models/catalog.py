"""Which models there are: those that plugins ship, folders of this machine, and those of the hub that were fetched.

A plugin ships a model through the hook `retouch_models`, which is read from its source: finding one imports nothing.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from retouch.models.errors import BrokenModel, MissingFile, NotFetched, UnknownModel
from retouch.models.hub import cache as hub
from retouch.models.info import ModelInfo, describe
from retouch.plugins import announced

__all__ = ["BrokenModel", "ModelInfo", "NotFetched", "UnknownModel", "find", "names"]


def names() -> list[str]:
    """Names of the models that plugins ship, in order."""
    return sorted(_shipped())


def find(name: str, revision: str | None = None) -> ModelInfo:
    """Look a model up by its name, its folder, or its id on the hub ("owner/name", or "owner/name@commit").

    Nothing is downloaded: a model of the hub that is not in the local cache is NotFetched.
    """
    if revision is None:
        if folder := _shipped().get(name):
            return describe(name, folder)
        if folder := _folder(name):
            return describe(name, folder)
    if known := hub.split(name):
        return _of_hub(name, known[0], revision or known[1])
    if revision is not None:
        raise UnknownModel(f"'{name}' has a revision, but is not an id of the hub, such as 'owner/name'")
    raise UnknownModel(_unknown(name))


def _folder(name: str) -> Path | None:
    try:
        folder = Path(name).expanduser()
        return folder.resolve() if folder.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # no such user, a link to itself, a null
        return None


def _of_hub(name: str, id_: str, revision: str | None) -> ModelInfo:
    folder, commit = hub.snapshot(id_, revision)
    try:
        return describe(name, folder, commit)
    except MissingFile:
        raise NotFetched(id_, commit, in_part=True) from None


def _shipped() -> dict[str, Path]:
    return {name: folder for plugin in announced.everything() for name, folder in plugin.models().items()}


def _unknown(name: str) -> str:
    near = get_close_matches(name, names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names()) or 'none'}"
    return f"no model is called '{name}', and no folder; {hint}"
