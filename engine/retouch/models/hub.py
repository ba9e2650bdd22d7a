"""Models from the Hugging Face hub, named by commit: JSON, vocabulary and safetensors, nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from retouch.models import families
from retouch.models.errors import BrokenModel, NotFetched
from retouch.models.layout import CARD, INDEX, TOKENIZER, VARIANTS, WEIGHTS, weights_file

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def is_id(name: str) -> bool:
    """Whether this could name a model of the hub."""
    return _ID.fullmatch(name) is not None


def cached(name: str, revision: str) -> Path:
    """The folder of a model that was downloaded before."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}", "snapshots", revision)
    if not _complete(folder):
        raise NotFetched(f"model '{name}' at {revision[:12]} is not in the local cache")
    return folder


def download(name: str, revision: str) -> Path:
    """The folder of a model, downloaded if need be."""
    try:
        return cached(name, revision)
    except NotFetched:
        return _download(name, revision)


def _download(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    folder = Path()
    for variant in VARIANTS:
        wanted = [CARD, INDEX, "*/config.json", "*/scheduler_config.json", *(f"*/{name}" for name in TOKENIZER)]
        wanted += [f"*/{stem}{variant}" for stem in WEIGHTS]
        try:
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
        except (RepositoryNotFoundError, RevisionNotFoundError):
            raise BrokenModel(f"the hub has no model '{name}' at {revision[:12]}, or not for everyone") from None
        except (OSError, RuntimeError) as why:
            raise BrokenModel(
                f"model '{name}' at {revision[:12]} is not in the local cache and the hub cannot be reached; "
                f"go online once, or give a folder ({type(why).__name__})"
            ) from None
        if _complete(folder):
            break
    return folder


def _complete(folder: Path) -> bool:
    try:
        known = families.named(families.pipeline_of(folder)).describe(families.reader(folder))
        return all(weights_file(folder, part) for part in known.parts)
    except (BrokenModel, KeyError, TypeError):
        return False
