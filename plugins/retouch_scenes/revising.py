"""Dataset update: edit all views by any turn, and let one field explain them.  Haque et al. 2023, arXiv:2303.12789.

Instruct-NeRF2NeRF edits one rendered view, fits a little, and takes the next.  All views at once share the network's
calls, and refitting averages what they disagree about; one round of it is most of the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import Image, Need, NoiseSource, NothingLifted, Range, TrainingLog, Turn, Turned, on_host, stage
from retouch_scenes.field import Field
from retouch_scenes.fitting import Course, Rays, fitted
from retouch_scenes.lifting import all_turned, hull, pixels, shadow, turned
from retouch_scenes.rendering import image_of
from retouch_scenes.views import Views
from retouch_scenes.volume import Volume


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision under way: what it works with in all of its rounds."""

    views: Views
    turn: Turn
    noise: NoiseSource
    log: TrainingLog
    course: Course
    share: float
    at_once: int

    async def all(self, field: Field, part: Tensor | None, i: int) -> Field:
        """One round on all views: edited, in the first round as they were taken, later as the field shows them."""
        views = self.views
        shown = list(views.images) if i == 0 else [image_of(field, views, k) for k in range(len(views))]
        # All draw the same noise, so that their edits are alike.
        made = await all_turned(self.turn, shown, views.images, f"round{i}" if i else "", self.at_once)
        edited = [k for k, each in enumerate(made) if each is not None]
        part = await self._part(field, part, {k: made[k] for k in edited})
        pictures = [(views.images[k] if (each := made[k]) is None else each.image) for k in range(len(views))]
        return await self._fitted(field, pictures, edited, part, f"round{i}")

    async def one_by_one(self, field: Field, part: Tensor | None, i: int) -> Field:
        """One round of a view after the other, each edited as the field now shows it, and a part of the fit behind."""
        views, count = self.views, len(self.views)
        step = replace(self, course=replace(self.course, iterations=max(1, self.course.iterations // count)))
        pictures, made = list(views.images), dict[int, Turned | None]()
        left = list(range(count))  # those that no flow has refused
        missed: Exception | None = None
        moved = False
        for k in range(count):
            # Nothing is fitted yet when the first is edited, so the photograph itself is its best picture.
            image = views.images[k] if i == 0 and k == 0 else image_of(field, views, k)
            found = await turned(self.turn, image, views.images[k], f"round{i}" if i else "")
            if not isinstance(found, Turned):
                left.remove(k)
                missed = missed or found
                continue
            made[k], pictures[k] = found, found.image
            try:
                area = await self._part(field, part, made)
            except NothingLifted as none_yet:  # what the views so far mask meets nowhere
                missed = none_yet
                continue
            field, moved = await step._fitted(field, pictures, left, area, f"round{i}/view{k}"), True
        if missed and not moved:
            raise missed
        return field

    async def _part(self, field: Field, part: Tensor | None, made: Mapping[int, Turned | None]) -> Tensor | None:
        """Where the field may change: as a stage before says, by the flow's masks, or as it was changed before."""
        if part is not None:
            return part
        masks = {k: pixels(each.mask, self.views, k) for k, each in made.items() if each and each.mask is not None}
        if not masks:
            return field.changed
        found = hull(field, self.views.some(list(masks)), list(masks.values()), self.share)
        if not await on_host(found.any()):
            raise NothingLifted
        return found

    async def _fitted(
        self, field: Field, pictures: Sequence[Image], which: Sequence[int], part: Tensor | None, key: str
    ) -> Field:
        """Fit the part of the field to edited pictures, by the rays that pass it."""
        views = self.views.showing([Image(image.data) for image in pictures])
        only = [
            torch.full(image.size, k in which, device=image.data.device)
            if part is None or k not in which
            else shadow(field, views, k, part)
            for k, image in enumerate(views.images)
        ]
        noise = replace(self.noise, key=f"{self.noise.key}/{key}")
        made = await fitted(field, Rays.of(views, only), noise, self.log, self.course, part)
        whole = torch.ones(field.grid.shape[1:], dtype=torch.bool, device=field.grid.device)
        now = whole if part is None else part
        return replace(made, changed=now if field.changed is None else field.changed | now)


@stage(
    "revise",
    "dataset",
    default=True,
    paper="arXiv:2303.12789",
    rows="turn * views * rounds",
    facts={"numbers": "numbers", "frustum": "frustum"},
    needs=(
        Need(
            "turn_resizes == 0",
            "is given a flow that gives its pictures back at another size",
            "resize outside of the brackets, or edit a window at a size of its own: (mask … | crop size=… | … | paste)",
        ),
    ),
)
async def revise(
    field: Field,
    views: Views,
    turn: Turn,
    noise: NoiseSource,
    log: TrainingLog,
    volume: Volume | None = None,
    *,
    rounds: Annotated[int, Range(1, 100, "times")] = 1,
    order: Literal["together", "one_by_one"] = "together",
    share: Annotated[float, Range(0, 1)] = 0.8,
    loss: Literal["l1", "l2"] = "l1",
    iterations: Annotated[int, Range(1, 100_000, "steps")] = 180,
    rays: Annotated[int, Range(1, 1_000_000, "rays")] = 2048,
    lr: Annotated[float, Range(0, 10)] = 0.12,
    smooth: Annotated[float, Range(0, 1)] = 1e-4,
    at_once: Annotated[int, Range(1, 1000, "views")] = 32,
) -> Field:
    """Edit all views by the flow in brackets, and refit the field to them: one thing that explains all edits.

    The field changes where the flow's masks meet in space, and nowhere else: voxels outside keep their bits.  A flow
    without a mask changes what a revision before it changed, or else everything.  Prompts begin with the caption of the
    photographs in each `revise`, and what its flow takes as the source is the photograph.

    rounds: how often; the first begins with the photographs, the others with what the field shows by then.
    order: "together" edits all views, then fits; "one_by_one" fits a little after each, as Instruct-NeRF2NeRF does,
        whose calls hold one view each.
    share: of the views that see a voxel, how many have to mask it.
    loss: "l1" lets a view that is wrong be wrong; "l2" makes a compromise.
    iterations: steps of Adam in each round.
    rays: pixels that each step sees, of those that see what may change.
    lr: of the first step; it falls to a tenth.
    smooth: weight of differences between neighbouring voxels.
    at_once: how many views are in memory together.
    """
    course = Course(iterations, rays, lr, smooth, robust=loss == "l1")
    going = Revision(views.about(field.space.centre), turn, noise, log, course, share, at_once)
    part = None if volume is None else volume.data
    if volume is not None and not volume.of(field):
        mend = "write 'mask lift (…)' behind the field that is revised"
        raise NothingLifted("is given a part that was lifted into another field", mend)
    for i in range(rounds):
        field = await (going.all if order == "together" else going.one_by_one)(field, part, i)
        if part is None and field.changed is not None and not await on_host(field.changed.all()):
            part = field.changed
    return field
