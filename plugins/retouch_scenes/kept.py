"""A field as a safetensors file: what `save field` writes and `fit saved` reads.

Loads no torch: recipes are checked with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from retouch.api.folders import TensorHeader, UnfitFile

FORMAT = "field of retouch, "
VERSION = "2"
ANEW = "write it anew by 'save field' (retouch rerun FILE, if it says how it was made)"
RAYS = 2048  # of each step of a fit, as `revise` has them unless it says otherwise


@dataclass(frozen=True, slots=True)
class Said:
    """What the metadata tells of a field, as `Field` has it."""

    space: Literal["box", "frustum"]
    near: float
    far: float
    samples: int
    open: bool
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def metadata(self) -> dict[str, str]:
        """The same as texts, from which every bit comes back."""
        said = {"format": FORMAT + VERSION, "space": self.space, "near": repr(self.near), "far": repr(self.far)}
        said |= {"samples": str(self.samples), "open": str(self.open).lower()}
        return said | {"centre": " ".join(map(repr, self.centre))}

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Said:
        """Raises UnfitFile."""
        format = metadata.get("format", "")
        if not format.startswith(FORMAT):
            raise UnfitFile("it is no field that 'save field' wrote", "name one that ends in .safetensors and is")
        if format != FORMAT + VERSION:
            raise UnfitFile(f"it is a field of version {format.removeprefix(FORMAT)}, and this reads {VERSION}", ANEW)
        space, samples, opened = (metadata.get(name, "") for name in ("space", "samples", "open"))
        near, far = (_number(metadata.get(name, "")) for name in ("near", "far"))
        x, y, z = map(_number, (*metadata.get("centre", "").split(), "", "", "")[:3])
        known = space in ("box", "frustum") and opened in ("true", "false")
        if not (
            known
            and samples.isdecimal()
            and int(samples) >= 2
            and 0 <= near < far < math.inf
            and math.isfinite(x + y + z)
        ):
            raise UnfitFile("its metadata do not say how it is seen", ANEW)
        return cls("box" if space == "box" else "frustum", near, far, int(samples), opened == "true", (x, y, z))


def described(header: TensorHeader) -> dict[str, float]:
    """What a plan wants to know of the field in a file: numbers in memory while it is fitted, and its space."""
    said = Said.of(header.metadata)
    kind, grid = header.tensors.get("grid", ("", ()))
    if kind != "F32" or len(grid) != 4 or grid[0] != 4 or min(grid) < 2:
        raise UnfitFile("its grid is not [4, D, H, W] of float32", ANEW)
    wanted = {"low": ("F32", (3,)), "high": ("F32", (3,)), "reference": ("F32", (4, 4)), "changed": ("BOOL", grid[1:])}
    for name, form in wanted.items():
        if header.tensors.get(name, form if name == "changed" else None) != form:
            raise UnfitFile(f"its '{name}' is not {list(form[1])} of {form[0]}", ANEW)
    frustum = said.space == "frustum"
    fitting = RAYS * said.samples * 60  # of a step: what each of its samples leaves for gradients
    return {"numbers": 24 * math.prod(grid[1:]) + fitting, "frustum": int(frustum)}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
