"""Which models there are: those that plugins ship, folders of this machine, and the hub's, by commit.

A plugin ships a model through the hook `retouch_models`, which is read from its source: finding one imports nothing.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from retouch.models import hub
from retouch.models.errors import BrokenModel, NotFetched, UnknownModel
from retouch.models.info import ModelInfo, describe
from retouch.plugins import announced

__all__ = ["BrokenModel", "ModelInfo", "NotFetched", "UnknownModel", "find", "names"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


def names() -> list[str]:
    """Names of the models that plugins ship, in order."""
    return sorted(_shipped())


def find(name: str, revision: str | None = None, *, fetch: bool = False) -> ModelInfo:
    """Look a model up by its name, its folder, or its id on the hub ("owner/name") and a commit.

    A model of the hub that is not in the local cache is downloaded if `fetch`, and is NotFetched otherwise.
    """
    if revision is not None:
        return describe(name, _from_hub(name, revision, fetch), revision)
    if folder := _shipped().get(name):
        return describe(name, folder)
    if Path(name).expanduser().is_dir():
        return describe(name, Path(name).expanduser().resolve())
    raise UnknownModel(_unknown(name))


def _shipped() -> dict[str, Path]:
    return {name: folder for plugin in announced.everything() for name, folder in plugin.models().items()}


def _from_hub(name: str, revision: str, fetch: bool) -> Path:
    if not hub.is_id(name):
        raise UnknownModel(f"'{name}' has a revision, but is not an id of the hub, such as 'owner/name'")
    if not _COMMIT.fullmatch(revision):
        raise UnknownModel(
            f"revision '{revision}' of '{name}' is a name that can move; give the commit, 40 digits from 0 to f"
        )
    return hub.download(name, revision) if fetch else hub.cached(name, revision)


def _unknown(name: str) -> str:
    if hub.is_id(name):
        return f"'{name}' is no folder; if it is an id of the hub, give its commit as the revision"
    near = get_close_matches(name, names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names()) or 'none'}"
    return f"no model is called '{name}', and no folder; {hint}"
