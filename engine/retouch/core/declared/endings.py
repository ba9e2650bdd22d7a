"""The endings that a file may have, as plain data: the check reads them before it imports the stage that writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

PICTURE = "picture"
_WORD = re.compile(r"\.[a-z0-9]{1,16}|picture(:[a-z]+)?")


@dataclass(frozen=True, slots=True, init=False)
class Ending:
    """The endings that a stage's file may have: `path: Annotated[str, Ending(".npz")]`.

    "picture" stands for every ending that pictures are written with, "picture:quality" for those of them that have a
    quality.  On another option than `path` they are the endings for which that option means something:
    `speed: Annotated[int, Range(1, 60), Ending(".webp")] | None = None`.
    """

    words: tuple[str, ...]

    def __init__(self, *words: str) -> None:
        object.__setattr__(self, "words", words)

    @property
    def well_formed(self) -> bool:
        """Whether each word is an ending in small letters, with its dot, or stands for pictures."""
        return bool(self.words) and all(isinstance(word, str) and _WORD.fullmatch(word) for word in self.words)
