"""A folder that a stage opens as one thing, such as posed photographs: what is said of it before anything runs.

A stage names a function, `@stage("open", "views", folder="my_plugin.layout:described")`, which reads the folder while
recipes are checked: so its module loads no torch at its top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class UnfitFolder(Exception):
    """A folder that a stage cannot open.

    code: of the diagnostic; what, mend: what is wrong with it, and what to do.
    """

    def __init__(self, what: str, mend: str, code: str = "RT570") -> None:
        super().__init__(what)
        self.what, self.mend, self.code = what, mend, code


class FolderReader(Protocol):
    """Reads files below a folder by their names in it.  Raises UnfitFolder for what is not there, or leads out."""

    def text(self, name: str) -> str:
        """A text of at most 16 MB."""
        ...

    def there(self, name: str) -> bool:
        """Whether such a file is there."""
        ...

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of the picture there, as it is stored, whatever EXIF says of how to turn it."""
        ...

    def alpha(self, name: str) -> bool:
        """Whether the picture there says what of it is transparent, as its header tells."""
        ...


@dataclass(frozen=True, slots=True)
class DescribedFolder:
    """What is in a folder, for the check and the plan.

    files: names in it of all that its stage reads; the stage is given these and no others.
    facts: numbers by name, which the stage's `rows`, `facts` and `needs` may use.
    doubts: what is told and refuses nothing: what is odd, and what to do.
    """

    files: tuple[str, ...]
    facts: Mapping[str, float] = field(default_factory=dict[str, float])
    doubts: tuple[tuple[str, str], ...] = ()
