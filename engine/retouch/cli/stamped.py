"""What a picture says of how it was made, read as what anyone may have written: each part of its own form, or none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retouch.cli.reporting import Refusal
from retouch.lang.encodings import is_text
from retouch.near import near_path
from retouch.paths import is_there

_MAPS = ("settings", "inputs", "plugins", "libraries")  # JSON inside of the stamp: texts by name
_PARTS = (*_MAPS, "stages")
_LONGEST_NAME = 256  # bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamp whose parts have the right form.

    told: the flat texts by name.  settings, inputs, plugins, libraries: texts by name; of an input, its sha256.
    stages: each with its "id", "stage", "version" and "options".
    """

    told: Mapping[str, str]
    settings: Mapping[str, str]
    inputs: Mapping[str, str]
    plugins: Mapping[str, str]
    libraries: Mapping[str, str]
    stages: tuple[Mapping[str, Any], ...]

    def text(self, name: str) -> str:
        """One of the flat texts; empty if it is not told."""
        return self.told.get(name, "")

    def as_json(self) -> dict[str, Any]:
        """All of it, as `retouch show --json` tells it."""
        parts = {name: getattr(self, name) for name in _PARTS if name in self.told}
        return {**self.told, **parts} | ({"stages": list(self.stages)} if "stages" in self.told else {})


def stamp_of(image: Path) -> Stamp:
    """What a picture says of itself.  Refusal if it says nothing, or nothing that can be believed."""
    from retouch import pictures
    from retouch.pictures import stamp

    told = pictures.metadata(image)
    if told is None:
        try:
            pictures.inspect(image)  # it may be no file at all, or none of ours
        except pictures.Unreadable as err:
            raise Refusal(str(err), mend=err.mend if is_there(image) else near_path(str(image))) from None
    if stamp.damaged(image):
        raise _damaged(image, "it is not a list of texts by name")
    if told is None:
        raise Refusal(f"'{image}' does not say how it was made: retouch did not make it, or another program removed it")
    parts = {name: _read(image, name, told[name]) for name in _PARTS if name in told}
    maps = {name: _map(image, name, parts.get(name, {})) for name in _MAPS}
    if not all(map(_is_file_name, maps["libraries"])):
        raise _damaged(image, "'libraries' is not a list of texts by names of files")
    found = parts.get("stages", [])
    if not (isinstance(found, list) and all(map(_is_stage, found))):
        raise _damaged(image, "'stages' is not a list of stages with their options")
    return Stamp(told, **maps, stages=tuple(found))


def _read(image: Path, name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(image, f"'{name}' is not JSON") from None


def _map(image: Path, name: str, found: Any) -> Mapping[str, str]:
    if not (isinstance(found, dict) and all(isinstance(value, str) for value in found.values())):
        raise _damaged(image, f"'{name}' is not a list of texts by name")
    return found


def _is_file_name(name: str) -> bool:
    """Whether a file can have that name in any folder; what names a place is none."""
    fits = is_text(name) and 0 < len(name.encode()) < _LONGEST_NAME
    return fits and name not in (".", "..") and not set(name) & set("/\\\0")


def _is_stage(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("stage"), str) and isinstance(found.get("options"), dict)


def _damaged(image: Path, what: str) -> Refusal:
    return Refusal.of("RT508", path=image, what=what)
