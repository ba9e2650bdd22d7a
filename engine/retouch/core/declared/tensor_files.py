"""A safetensors file that a stage reads, such as a field that another run wrote: what is said of it before a run.

A stage names a function, `@stage("fit", "saved", tensors="my_plugin.kept:described")`, which looks at the header while
recipes are checked: so its module loads no torch at its top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DAMAGED = "name one that a recipe wrote, or make it anew by that recipe"  # of a file that is cut off, or no such file


class UnfitFile(Exception):
    """A file that a stage cannot read.  what, mend: what is wrong with it, and what to do."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what, self.mend = what, mend


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """What a safetensors file says of itself before its numbers.

    metadata: texts by name.  tensors: type, such as "F32", and shape of each tensor by its name.
    """

    metadata: Mapping[str, str]
    tensors: Mapping[str, tuple[str, tuple[int, ...]]]
