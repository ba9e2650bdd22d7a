"""Models of the hub that are on this machine, in the cache that all tools of the hub share; looked at without network.

<cache>/models--owner--name/refs/main              the commit that "owner/name" means here
                            snapshots/<commit>/…   the files of a commit, links to
                            blobs/<digest>         their contents
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from retouch.models.errors import NotFetched, UnknownModel

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PREFIX = "models--"


class Kept(NamedTuple):
    """One commit of one model on this machine."""

    name: str
    commit: str
    folder: Path
    bytes: int
    meant: bool  # whether its name without a commit means this one
    whole: bool  # whether it looks like a model, and not like one network


def is_id(name: str) -> bool:
    """Whether this could name a model of the hub."""
    return _ID.fullmatch(name) is not None


def is_commit(revision: str) -> bool:
    """Whether this names a commit whole, which nothing can move."""
    return _COMMIT.fullmatch(revision) is not None


def split(text: str) -> tuple[str, str | None] | None:
    """The id and the revision of "owner/name" or "owner/name@revision"; None for anything else."""
    name, at, revision = text.partition("@")
    if not is_id(name) or (at and not revision):
        return None
    return name, revision or None


def home() -> Path:
    """Where models of the hub are kept: HF_HUB_CACHE, or what HF_HOME says, or the user's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def place(name: str) -> Path:
    """The folder of all that is kept of one model."""
    return home() / f"{_PREFIX}{name.replace('/', '--')}"


def snapshot(name: str, revision: str | None) -> tuple[Path, str]:
    """The folder of a model that was fetched before, and its commit.

    Without a revision that is the one that was got last by its name, or the only one.
    """
    if revision is not None and not is_commit(revision):
        # A branch is another model tomorrow; the stamp of a result has to name this one.
        raise UnknownModel(
            f"revision '{revision}' of '{name}' is a name that can move", "give the commit, 40 digits from 0 to f"
        )
    commit = revision or _meant(name)
    folder = place(name) / "snapshots" / commit
    if not folder.is_dir():
        raise NotFetched(name, commit)
    return folder, commit


def _meant(name: str) -> str:
    known = _commits(name)
    if (main := _main(name)) in known:
        return main
    if len(known) == 1:
        return known[0]
    if not known:
        raise NotFetched(name, None)
    raise UnknownModel(f"{len(known)} commits of '{name}' are here", f"give one as the revision: {', '.join(known)}")


def _main(name: str) -> str:
    try:
        return (place(name) / "refs" / "main").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _commits(name: str) -> list[str]:
    snapshots = place(name) / "snapshots"
    try:
        return sorted(each.name for each in snapshots.iterdir() if is_commit(each.name))
    except OSError:
        return []


def kept() -> Iterator[Kept]:
    """Every commit of every model in the cache that may be one for pictures, or a network beside one, by name."""
    try:
        places = sorted(each for each in home().iterdir() if each.name.startswith(_PREFIX))
    except OSError:
        return
    for folder in places:
        name = folder.name.removeprefix(_PREFIX).replace("--", "/", 1)
        commits, main = _commits(name), _main(name)
        for commit in commits:
            at = folder / "snapshots" / commit
            whole = (at / "model_index.json").exists() or (at / "unet").is_dir()
            if is_id(name) and (whole or (at / "config.json").exists()):
                yield Kept(name, commit, at, size_of(at), commit == main or len(commits) == 1, whole)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def remove(name: str, revision: str | None) -> int:
    """Take a commit, or all of a model, out of the cache; returns the bytes that became free.

    Contents that another commit needs stay.
    """
    folder = place(name)
    commits = [revision] if revision else _commits(name)
    if not folder.is_dir() or (revision and revision not in _commits(name)):
        raise NotFetched(name, revision)
    before = _stored(folder)
    for commit in commits:
        shutil.rmtree(folder / "snapshots" / commit)
    if not _commits(name):
        shutil.rmtree(folder)
        return before
    # Snapshots are links into `blobs`, and several commits share what did not change.
    needed = {path.resolve() for path in (folder / "snapshots").rglob("*")}
    for blob in (folder / "blobs").iterdir():
        if blob.resolve() not in needed:
            blob.unlink()
    # Or the name would mean a commit that is not here, though another is.
    if _main(name) not in _commits(name):
        (folder / "refs" / "main").unlink(missing_ok=True)
    return before - _stored(folder)


def _stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
