"""Which models there are: those that plugins ship, folders of this machine, and the hub's, by commit.

A plugin ships a model through the entry-point group `retouch.models`, whose value names a package and a
folder in it ("retouch_storybook:weights"). Nothing is imported to find it.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from retouch.models import hub
from retouch.models.errors import BrokenModel, NotFetched, UnknownModel
from retouch.models.info import ModelInfo, describe

__all__ = ["BrokenModel", "ModelInfo", "NotFetched", "UnknownModel", "find", "names"]

GROUP = "retouch.models"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def names() -> list[str]:
    """Names of the models that plugins ship, in order."""
    return sorted(entry_points(group=GROUP).names)


def find(name: str, revision: str | None = None, *, fetch: bool = False) -> ModelInfo:
    """Look a model up by its name, its folder, or its id on the hub ("owner/name") and a commit.

    A model of the hub that is not in the local cache is downloaded if `fetch`, and is NotFetched otherwise.
    """
    if revision is not None:
        return describe(name, _from_hub(name, revision, fetch), revision)
    shipped = entry_points(group=GROUP, name=name)
    if shipped:
        return describe(name, _shipped(next(iter(shipped))))
    if Path(name).expanduser().is_dir():
        return describe(name, Path(name).expanduser().resolve())
    raise UnknownModel(_unknown(name))


def _shipped(entry: EntryPoint) -> Path:
    package, _, folder = entry.value.partition(":")
    root, *inner = package.split(".")  # find_spec of a dotted name would import its parent
    spec = find_spec(root)
    if spec is None or not spec.submodule_search_locations:
        raise BrokenModel(f"model '{entry.name}' is in package '{package}', which cannot be found")
    return Path(spec.submodule_search_locations[0], *inner, folder)


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
