"""Whole pictures of a field."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retouch.api import Image, stage
from retouch_scenes.field import Field, RaysSeen, seen
from retouch_scenes.views import SEEN, Views

AT_ONCE = 1 << 19  # samples in memory together


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A view of a field, [3, H, W] and [H, W], row by row."""

    colour: Tensor
    opacity: Tensor
    depth: Tensor

    def over(self, behind: float) -> Tensor:
        """The picture before a grey wall.  [3, H, W]"""
        return self.colour + (1 - self.opacity) * behind


def rendered(field: Field, views: Views, i: int) -> Rendered:
    """See the field as one of the views does; rays by rays, so that memory does not grow with the picture."""
    lens = views.lenses[i]
    origins, directions = views.rays(i)
    count = max(1, AT_ONCE // field.samples)
    parts: list[RaysSeen] = [
        replaced(seen(field, origins[k : k + count], directions[k : k + count])) for k in range(0, len(origins), count)
    ]
    size = (lens.height, lens.width)
    colour = torch.cat([part.colour for part in parts], 1).reshape(3, *size)
    opacity, depth = (torch.cat([getattr(part, name) for part in parts]).reshape(size) for name in ("opacity", "depth"))
    return Rendered(colour.clamp(0, 1), opacity.clamp(0, 1), depth)


def replaced(part: RaysSeen) -> RaysSeen:
    """Without what only gradients want."""
    return part._replace(weights=part.opacity, places=part.opacity)


def image_of(field: Field, views: Views, i: int) -> Image:
    """The picture of a view; of an open field over white, with the opacity as its alpha."""
    made = rendered(field, views, i)
    if not field.open:
        return Image(made.colour)
    return Image(made.over(1.0).clamp(0, 1), made.opacity)


@stage(
    "render",
    "views",
    facts={**SEEN, "shown": "1"},
)
def render_views(field: Field, views: Views) -> Views:
    """Render the field from where the photographs were taken: the views that all agree."""
    views = views.about(field.space.centre)
    return views.showing([image_of(field, views, i) for i in range(len(views))])
