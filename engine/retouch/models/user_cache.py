"""The folder that keeps what this user has measured and brought: `~/.cache/retouch`, or what `RETOUCH_CACHE` names."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def folder() -> Path | None:
    """Where it is, there or not; None where the user wants none, or has no home."""
    said = os.environ.get("RETOUCH_CACHE", "")
    if said.lower() == "off":
        return None
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "retouch") if not said else Path(said)
    with suppress(RuntimeError):  # no home
        return base.expanduser()
    return None


def network(name: str) -> Path | None:
    """The folder of a network that the user has brought under this name, there or not."""
    base = folder()
    return base / "networks" / name if base else None


def networks() -> list[str]:
    """The names of the networks that the user has brought."""
    base = folder()
    there = base / "networks" if base else None
    return [each.name for each in there.iterdir() if each.is_dir()] if there and there.is_dir() else []
