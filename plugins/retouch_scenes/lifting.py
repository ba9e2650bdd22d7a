"""Masks of views lifted into a field's space, and the shadow that a part of it throws on views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Image,
    Mask,
    Moot,
    Need,
    NothingLifted,
    NothingMasked,
    Range,
    Ranked,
    Turn,
    Turned,
    Unmet,
    gather,
    on_host,
    stage,
)
from retouch_scenes.field import Field, looked_up, samples, seen
from retouch_scenes.rendering import AT_ONCE, rendered
from retouch_scenes.views import Views
from retouch_scenes.volume import Volume

BEHIND = 0.06  # of a box, how far behind a surface still counts as seen
FEW = 0.1  # of all views, how many have to see a voxel for their word to count
FAINT = 0.05  # of a voxel's look-up, from which a ray counts as passing it
LEFT_OUT = (Unmet, NothingMasked)  # what ends one view's edit, and not the others'


def hull(field: Field, views: Views, masks: Sequence[Tensor], share: float) -> Tensor:
    """Voxels in the masks [H, W] of at least this share of the views that see them.  [D, H, W] bool

    Laurentini 1994, the visual hull, with room for views that are wrong.  In a frustum all views see what they look
    towards.  What is walked round hides its other sides, so in a box a view counts up to a little behind the surface
    that it sees; inside, where none looks, all count again.
    """
    points = field.centres()
    sees, masked, near, near_masked = points.new_zeros(4, *points.shape[:3])
    for i, mask in enumerate(masks):
        lens = views.lenses[i]
        x, y, depth = views.seen(i, points)
        at = torch.stack([x / lens.width, y / lens.height], -1).flatten(0, 2)[None, None] * 2 - 1
        told = [mask.float()]
        if field.space.kind == "box":
            told.append(_surface(field, views, i))
        found = F.grid_sample(torch.stack(told)[None], at, align_corners=False)[0, :, 0]
        found = found.reshape(-1, *sees.shape)
        inside = ((x > 0) & (x < lens.width) & (y > 0) & (y < lens.height) & (depth > 0)).to(points)
        sees += inside
        masked += found[0] * inside
        if field.space.kind == "box":
            seen_here = inside * (depth <= found[1])
            near += seen_here
            near_masked += found[0] * seen_here
    looked_at = (sees > 0.5 * len(masks)) & (masked >= share * sees)
    if field.space.kind == "frustum":
        return looked_at
    enough = near >= min(len(masks), max(2, FEW * len(masks)))
    return torch.where(enough, near_masked >= share * near, looked_at)


def _surface(field: Field, views: Views, i: int) -> Tensor:
    """How deep a view sees, a little behind the surface; without end where it meets nothing.  [H, W]"""
    met = rendered(field, views, i)
    behind = BEHIND * (field.space.high - field.space.low).max().double()  # where it is: no view waits for it
    return torch.where(met.opacity > 0.5, met.depth / met.opacity.clamp(min=0.5) + behind, torch.inf).clamp(max=1e9)


def adjoint(field: Field, views: Views, maps: Sequence[Tensor]) -> Tensor:
    """Each voxel's mean of maps [H, W] over the rays that see it: what rendering does, the other way.  [D, H, W]"""
    total = field.grid.new_zeros(2, *field.grid.shape[1:])
    for i, shown in enumerate(maps):
        origins, directions = views.rays(i)
        values = shown.flatten().float()
        count = max(1, AT_ONCE // field.samples)
        for k in range(0, len(origins), count):
            met = seen(field, origins[k : k + count], directions[k : k + count])
            with torch.enable_grad():
                bag = torch.zeros_like(total, requires_grad=True)
                rendered = (looked_up(bag, met.places) * met.weights).sum(-1)  # [2, R]
                sums = (rendered[0] * values[k : k + count]).sum() + rendered[1].sum()
            total += torch.autograd.grad(sums, bag)[0]
    return total[0] / total[1].clamp(min=1e-6)


def shadow(field: Field, views: Views, i: int, part: Tensor) -> Tensor:
    """Pixels of a view whose rays pass a part [D, H, W] of the field.  [H, W] bool"""
    lens = views.lenses[i]
    origins, directions = views.rays(i)
    solid, count = part[None].to(field.grid), max(1, AT_ONCE // field.samples)
    found: list[Tensor] = []
    for k in range(0, len(origins), count):
        _, places = samples(field, origins[k : k + count], directions[k : k + count])
        found.append(looked_up(solid, places)[0].amax(1) > FAINT)
    return torch.cat(found).reshape(lens.height, lens.width)


async def turned(turn: Turn, image: Image, source: Image, key: str = "") -> Turned | Unmet | NothingMasked:
    """What a flow makes of a view, or why there is nothing to edit."""
    try:
        return await turn(Image(image.data), source=Image(source.data), key=key)
    except LEFT_OUT as why:
        return why


async def all_turned(
    turn: Turn, images: Sequence[Image], sources: Sequence[Image], key: str, at_once: int
) -> list[Turned | None]:
    """What a flow makes of each view, None where nothing; as many in memory together as is said.

    Raises what the first view's flow did, Unmet or NothingMasked, where none of them could be edited.
    """
    found: list[Turned | Unmet | NothingMasked] = []
    for k in range(0, len(images), at_once):
        some = list(zip(images, sources, strict=True))[k : k + at_once]
        found += await gather(turned(turn, image, source, key) for image, source in some)
    made = [each if isinstance(each, Turned) else None for each in found]
    if not any(made) and not isinstance(why := found[0], Turned):
        raise why
    return together(made)


def together(made: Sequence[Turned | None]) -> list[Turned | None]:
    """One choice for all views where each has chosen among as many draws: what their scores say on average.

    All views draw the same noise, so that a draw of theirs is one thing seen from many sides.
    """
    ranked = [each.image for each in made if each and isinstance(each.image, Ranked)]
    counts = {len(image.scores) for image in ranked}
    if len(counts) != 1 or len(ranked) != sum(each is not None for each in made):
        return list(made)
    totals = [sum(image.scores[i] for image in ranked) for i in range(counts.pop())]
    chosen = sorted(range(len(totals)), key=totals.__getitem__)[ranked[0].keep - 1]
    return [
        replace(each, image=each.image.draws[chosen]) if each and isinstance(each.image, Ranked) else each
        for each in made
    ]


def pixels(mask: Mask, views: Views, i: int) -> Tensor:
    """A view's mask at its own size.  [H, W]"""
    return mask.pixels(views.lenses[i].height, views.lenses[i].width)


@stage(
    "mask",
    "lift",
    paper="arXiv:2303.12048",
    rows="turn * views",
    needs=(
        Need("turn_mask", "is given a flow that makes no mask", 'write mask lift (mask diffedit "cat"->"dog")'),
        Need(
            "turn_resizes == 0",
            "is given a flow that gives its pictures back at another size",
            "resize outside of the brackets, or edit a window at a size of its own: (mask … | crop size=… | … | paste)",
        ),
    ),
    moot=(
        Moot("share", "by == 'adjoint'", 'by="adjoint" goes by the threshold'),
        Moot("threshold", "by == 'hull'", 'by="hull" goes by the share of views'),
    ),
)
async def lift(
    field: Field,
    views: Views,
    turn: Turn,
    *,
    by: Literal["hull", "adjoint"] = "hull",
    share: Annotated[float, Range(0, 1)] = 0.8,
    threshold: Annotated[float, Range(0, 1)] = 0.5,
    at_once: Annotated[int, Range(1, 1000, "views")] = 32,
) -> Volume:
    """Lift the masks that a flow makes of all views into space: the part that `revise` may change.

    by: "hull" takes what lies inside the masks of most views, and so has room for what is not there yet; "adjoint"
        what the views see of their masks, the surfaces that are there alone.
    share: of "hull", of the views that see a voxel, how many have to mask it.
    threshold: of "adjoint", the mean mask of the rays that see a voxel.
    at_once: how many views are in memory together.
    """
    made = await all_turned(turn, views.images, views.images, "", at_once)
    views = views.about(field.space.centre)
    masks = {i: pixels(each.mask, views, i) for i, each in enumerate(made) if each and each.mask is not None}
    masking, shown = views.some(list(masks)), list(masks.values())
    part = hull(field, masking, shown, share) if by == "hull" else adjoint(field, masking, shown) >= threshold
    if not await on_host(part.any()):
        raise (
            NothingLifted
            if by == "hull"
            else NothingLifted(mend=f"let the mask begin lower: threshold={threshold / 2:g}")
        )
    return Volume(part, field.space)
