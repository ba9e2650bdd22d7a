"""Fields to files, and back: what was fitted or revised once is gone on with in another run, to the bit."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import Ending, NothingLifted, Outbox, TensorFiles, safetensors_file, stage
from retouch.api.folders import UnfitFile
from retouch_scenes.field import Field, Space
from retouch_scenes.kept import ANEW, Said
from retouch_scenes.views import Views

SPOTS = 9  # along each axis of a field, of which some camera has to see one


@stage("save", "field")
def save_field(field: Field, outbox: Outbox, *, path: Annotated[str, Ending(".safetensors")]) -> None:
    """Write the field as safetensors: "grid" [4, D, H, W], raw density and raw colours, and where it lies.

    "low" and "high" are the corners of its space, "reference" the camera of a frustum, "changed" [D, H, W] what was
    revised; the rest is in the metadata.  All places are counted from "centre", which is the origin unless the
    photographs' world lies far from that.  `fit saved` reads it back, to the bit.

    path: the file.
    """
    space, recipe = field.space, outbox.stamp(path)
    said = Said(space.kind, field.near, field.far, field.samples, field.open, space.centre).metadata()
    tensors = {"grid": field.grid, "low": space.low, "high": space.high, "reference": space.reference}
    tensors |= {} if field.changed is None else {"changed": field.changed}
    plain = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    with outbox.file(path) as file:
        file.write(safetensors_file(plain, said | ({"retouch": recipe} if recipe else {})))


@stage(
    "fit",
    "saved",
    tensors="retouch_scenes.kept:described",
    facts={"numbers": "numbers", "frustum": "frustum"},
)
def fit_saved(views: Views, files: TensorFiles, *, path: Annotated[str, Ending(".safetensors")]) -> Field:
    """Take the field that `save field` wrote, in place of fitting one: to the bit what was saved.

    The file holds no photographs and no cameras: those are opened before it, as they were or others of the same thing,
    so that the field can be seen and revised.  What was revised before is still known as the part that has changed.

    path: the file.
    """
    metadata, tensors = files.read(path)
    said = Said.of(metadata)
    space = Space(said.space, tensors["low"], tensors["high"], tensors["reference"], said.centre)
    if not bool((space.low < space.high).all()):
        raise UnfitFile("its space has no inside: 'low' is not below 'high'", ANEW)
    views = views.about(said.centre)
    if not any(_sees(views, i, space) for i in range(len(views))):
        what = "is given photographs whose cameras do not look at the field: it was fitted to others"
        raise NothingLifted(what, "open the photographs that it was fitted to, or others of the same place")
    return Field(tensors["grid"], space, said.near, said.far, said.samples, said.open, tensors.get("changed"))


def _sees(views: Views, i: int, space: Space) -> bool:
    """Whether anything of a space lies before a camera, in its picture."""
    axis = torch.linspace(-1, 1, SPOTS).to(space.low)
    unit = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    lens = views.lenses[i]
    x, y, depth = views.seen(i, space.world(unit))
    return bool(((x >= 0) & (x <= lens.width) & (y >= 0) & (y <= lens.height) & (depth > 0)).any())
