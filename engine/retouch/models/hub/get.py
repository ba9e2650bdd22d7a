"""Bring a model of the hub onto this machine: ask what there is, say what it comes to, fetch it.

Only what an edit needs comes, at one commit, checked against the hub's digests.  The snapshot appears when all of it
is there, so that a broken transfer leaves no half model.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from retouch.models.hub import cache
from retouch.models.hub.choice import INDEX, Listed, choose, choose_alone
from retouch.models.hub.download import PART, download
from retouch.models.hub.errors import CannotGet
from retouch.models.hub.uses import CONFIG, kinds, ways

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a model comes to before it is fetched.

    ways: how recipes name it, "{}" standing for its name.
    """

    name: str
    commit: str
    by_name: bool  # whether no revision was asked for, so that the name alone will mean this commit
    files: tuple[Listed, ...]
    licence: str
    gated: bool
    ways: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing(self) -> int:
        """Bytes that have yet to come."""
        there = (_blob(self.name, file) for file in self.files)
        parts = sum(part.stat().st_size for blob in there if (part := blob.with_name(blob.name + PART)).exists())
        return sum(file.size for file in self.files if not _blob(self.name, file).exists()) - parts

    @property
    def folder(self) -> Path:
        """Where it will lie."""
        return cache.place(self.name) / "snapshots" / self.commit


def look(name: str, revision: str | None, variant: str | None) -> Offer:
    """Ask the hub what a model is made of.  Raises CannotGet."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise CannotGet("HF_HUB_OFFLINE is set, so the network is left alone", "unset HF_HUB_OFFLINE, and try again")
    with _in_words(name, revision):
        info = HfApi().model_info(name, revision=revision, files_metadata=True)
        listed = [_listed(each) for each in info.siblings or []]
        commit = str(info.sha)
        # It names a folder here, and comes from outside.
        if not cache.is_commit(commit):
            raise CannotGet("the hub gives no commit for it", "name a revision: owner/name@commit")
        # The index says which parts there are, and the config what it is, so they come before anything is chosen.
        if top := next((file for file in listed if file.path == INDEX), None):
            files, used = choose(listed, _read(name, commit, top), variant), ('model "{}"',)
        elif top := next((file for file in listed if file.path == CONFIG), None):
            used = ways(config := _read(name, commit, top))
            if not used:
                kind = config.get("model_type") or config.get("_class_name") or "nothing"
                what = f"its {CONFIG} calls it {kind}, which no stage reads"
                raise CannotGet(
                    what, f"name a model in the layout of diffusers, a VAE, or one of: {', '.join(kinds())}"
                )
            files = choose_alone(listed, variant)
        else:
            single = [file.path for file in listed if "/" not in file.path and file.path.endswith(".safetensors")]
            said = f"; it has single files: {', '.join(single[:4])}" if single else ""
            raise CannotGet(
                f"it has no {INDEX}, so it is no folder in the layout of diffusers{said}",
                "name a model in the layout of diffusers",
            )
    card = info.card_data
    # A licence that is filed under 'other' may have a name of its own, or lie somewhere.
    said = [getattr(card, key, None) for key in ("license_name", "license", "license_link")] if card else []
    return Offer(
        name,
        commit,
        revision is None,
        tuple(files),
        next((each for each in said if isinstance(each, str) and each not in ("", "other")), "not stated"),
        bool(info.gated),
        used,
    )


def fetch(offer: Offer, tell: Tell) -> Path:
    """Fetch what is missing and lay it out as a folder.  Raises CannotGet; what came stays for the next attempt."""
    if offer.folder.is_dir() and all((offer.folder / file.path).exists() for file in offer.files):
        tell(offer.bytes)
    else:
        place = cache.home()
        holder = next(folder for folder in (place, *place.parents) if folder.exists())
        if (free := shutil.disk_usage(holder).free) < offer.missing:
            raise CannotGet(
                f"{offer.missing:,} bytes are to come, and '{holder}' has room for {free:,}",
                "make room, or set HF_HOME to a folder with more",
            )
        with _in_words(offer.name, offer.commit):
            for file in offer.files:
                _bring(offer.name, offer.commit, file, tell)
            _lay_out(offer)
    if offer.by_name:
        # From now on the name alone means this commit
        ref = cache.place(offer.name) / "refs" / "main"
        ref.parent.mkdir(parents=True, exist_ok=True)
        beside = ref.with_name(f"main.retouch-{os.getpid()}")
        beside.write_text(offer.commit, "ascii")
        beside.replace(ref)
    return offer.folder


def _listed(sibling: Any) -> Listed:
    large = sibling.lfs.sha256 if sibling.lfs else None
    return Listed(sibling.rfilename, sibling.size or 0, large or sibling.blob_id or "", bool(large))


def _blob(name: str, file: Listed) -> Path:
    """Where the content lies; the name is the digest, as all tools of the hub have it."""
    if not file.digest.isalnum():
        raise CannotGet(f"the hub gives no digest for '{file.path}'", "try again later")
    return cache.place(name) / "blobs" / file.digest


def _read(name: str, commit: str, file: Listed) -> dict[str, Any]:
    """What a JSON file of the repository says."""
    _bring(name, commit, file, lambda _: None)
    try:
        said = json.loads(_blob(name, file).read_text("utf-8"))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise CannotGet(f"its {file.path} is not a JSON object", "name another model")
    return said


def _bring(name: str, commit: str, file: Listed, tell: Tell) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    download(hf_hub_url(name, file.path, revision=commit), build_hf_headers(), file, _blob(name, file), tell)


def _lay_out(offer: Offer) -> None:
    """Link the contents into a folder beside, which then takes its name at once; where links fail, copy."""
    made = offer.folder.with_name(f"{offer.commit}.retouch-{os.getpid()}")
    if offer.folder.is_dir():
        made = offer.folder  # another precision, or another tool's files, are there already
    for file in offer.files:
        at = made / file.path
        at.parent.mkdir(parents=True, exist_ok=True)
        if at.exists():
            continue
        at.unlink(missing_ok=True)
        blob = _blob(offer.name, file)
        try:
            at.symlink_to(os.path.relpath(blob, at.parent))
        except OSError:
            shutil.copyfile(blob, at)
    if made != offer.folder:
        made.rename(offer.folder)


@contextmanager
def _in_words(name: str, revision: str | None) -> Iterator[None]:
    """What the hub, the network and the disk refuse, each with what to do."""
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    at = f" at '{revision}'" if revision else ""
    try:
        yield
    except hub.GatedRepoError:
        raise CannotGet(
            "its makers want their terms accepted first",
            f"accept them at {constants.ENDPOINT}/{name}, then log in: hf auth login",
        ) from None
    except hub.RevisionNotFoundError:
        raise CannotGet(
            f"the hub has no '{revision}' of it", "name a commit, a branch or a tag that is there"
        ) from None
    except hub.RepositoryNotFoundError:
        raise CannotGet(
            f"the hub has no model '{name}'{at}, or not for everyone",
            "look at the name; for a private one: hf auth login",
        ) from None
    except hub.HfHubHTTPError as why:
        raise CannotGet(f"the hub refuses: {_first_line(why)}", "try again later") from None
    except (hub.HTTPError, ConnectionError) as why:  # pyright: ignore[reportPrivateImportUsage]
        said = f"{urlsplit(constants.ENDPOINT).netloc} cannot be reached ({type(why).__name__})"
        raise CannotGet(said, "go online, and give the same command again; what came is kept") from None
    except OSError as why:
        said = f"'{why.filename or cache.home()}' cannot be written: {why.strerror or why}"
        raise CannotGet(said, "make room, or set HF_HOME to a folder of yours") from None
    except ValueError as why:
        raise CannotGet(f"'{name}'{at} is no name that the hub takes: {_first_line(why)}", "look at the name") from None


def _first_line(why: Exception) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[0]
