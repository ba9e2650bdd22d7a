"""Paths of a recipe: it reads and writes only below its folder and what the command line names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retouch.graph.calls import Given
from retouch.graph.nodes import Picture
from retouch.graph.scope import near
from retouch.graph.world import World
from retouch.lang.diagnostics import Report
from retouch.models.info import ModelInfo

_FIELD = re.compile(r"\{(\w*)\}")
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


class Files:
    """What paths stand for, and whether the recipe may use them."""

    def __init__(self, world: World, report: Report) -> None:
        self._world = world
        self._report = report

    def to_read(self, given: Given) -> Path | None:
        """The file that a path names, if it is there and the recipe may read it."""
        text: str = given.value
        if any(char in text for char in "*?"):
            self._add("RT414", given, what="a pattern of files", mend="name the files on the command line")
            return None
        path = self._allowed(text, given, self._world.folder)
        if path is None or path.is_file():
            return path
        there = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        self._add("RT402", given, path=text, mend=near(path.name, there) or f"it would be {path}")
        return None

    def to_write(self, given: Given, fields: Mapping[str, object]) -> Path | None:
        """The file that a result goes to, its fields filled in."""
        for name in _FIELD.findall(given.value):
            if name not in fields:
                mend = near(name, fields) or f"fields: {', '.join(fields)}"
                self._add("RT406", given, name=name, mend=mend)
                return None
        text = _FIELD.sub(lambda found: str(fields[found[1]]), given.value)
        start = self._world.output if self._world.output and self._world.to_folder else self._world.folder
        return self._allowed(text, given, start)

    def _allowed(self, text: str, given: Given, start: Path) -> Path | None:
        if _ADDRESS.match(text):
            self._add("RT413", given, path=text)
            return None
        path = (start / text).resolve()
        roots = [self._world.folder, *self._world.allowed, *([start] if start == self._world.output else [])]
        if any(path.is_relative_to(root.resolve()) for root in roots):
            return path
        self._add("RT403", given, path=text)
        return None

    def check_picture(self, picture: Picture, size: int, model: ModelInfo, given: Given) -> None:
        """Refuse a picture that cannot be read, or is larger than the model takes, before any weights load."""
        if not picture.known or not picture.path.is_file():
            return
        from retouch.pictures import Unreadable

        try:
            info = self._world.inspect(picture.path)
        except Unreadable as err:
            self._add("RT504", given, path=picture.path.name, what=str(err))
            return
        longer = max(info.width, info.height)
        if (min(size, longer) if size else longer) > model.largest_side:
            what = f"the longer side of '{picture.path.name}', in pixels"
            mend = f"let it be made smaller: open … size={model.trained_size}"
            self._add("RT404", given, what=what, count=longer, limit=model.largest_side, mend=mend)

    def _add(self, code: str, given: Given, **facts: Any) -> None:
        self._report.add(code, given.span, source=given.source, **facts)
