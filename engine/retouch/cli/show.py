"""`retouch show`: how a picture was made, as it says itself."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retouch.cli import DONE, WRONG_RECIPE
from retouch.cli.reporting import put, refuse

_NESTED = ("settings", "inputs", "plugins", "stages")  # JSON inside of the stamp, whose entries are texts
_LINES = ("retouch", "torch", "python", "machine", "device", "dtype", "mode", "seed", "caption")


def main(args: Namespace) -> int:
    """Print the recipe, and what it was run with."""
    found = stamp_of(args.image)
    if isinstance(found, str):
        return refuse(args, WRONG_RECIPE, found)
    if args.json:
        put({"image": str(args.image), **found})
    else:
        print("\n".join(_lines(found)))
    return DONE


def stamp_of(image: Path) -> dict[str, Any] | str:
    """Read the picture's record of itself; None, and why, if there is none."""
    from retouch import pictures

    try:
        pictures.inspect(image)
    except pictures.Unreadable as err:
        return str(err)
    told = pictures.metadata(image)
    if told is None:
        return f"'{image}' does not say how it was made: retouch did not make it, or another program removed it"
    try:
        return {name: json.loads(text) if name in _NESTED else text for name, text in told.items()}
    except ValueError:
        return f"what '{image}' says of itself is damaged"


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    yield told.get("recipe", "").rstrip() or "# the recipe was too long to be stored in the picture"
    yield ""
    if source := told.get("source"):
        digest = told.get("inputs", {}).get(told.get("source_path"), "")
        yield f"source: {source}{f', sha256 {digest}' if digest else ''}"
    yield f"model: {told.get('model', '')}, {told.get('model_digest', '')} {told.get('model_revision', '')}".rstrip()
    yield from (f"{name}: {told[name]}" for name in _LINES if told.get(name))
    yield from (f"--set {name}={text}" for name, text in told.get("settings", {}).items())
    yield from (f"plugin {name}: {version}" for name, version in told.get("plugins", {}).items())
    for stage in told.get("stages", ()):
        options = " ".join(f"{name}={value}" for name, value in stage["options"].items())
        yield f"  {stage['stage']} {options}".rstrip()
