"""Draws by how little of the picture they changed."""

from __future__ import annotations

from typing import Annotated

from retouch.api import Candidates, Image, Need, Notices, Range, SourceImage, gather, on_host, resized, stage
from retouch_methods.rank.kept import AS_MANY, kept


@stage(
    "rank",
    "change",
    needs=(
        AS_MANY,
        Need("room < 1", "has no pixel left to compare draws by", "write room=5%"),
    ),
)
async def change(
    candidates: Candidates,
    source: SourceImage,
    notices: Notices,
    *,
    keep: Annotated[int, Range(1, 256, "place")] = 1,
    room: Annotated[float, Range(0, 1)] = 0.05,
) -> Image:
    """Keep the draw that left most of the picture as it was: one that drew the old things anew, elsewhere, did not.

    Choose it where something is added to a thing that stays, such as a hat, and leave blends out of the draws: a blend
    puts the source back, and with it what tells a head of another size.  Blend behind it.  A draw that changed nothing
    would be the best of all, so let what is drawn change enough: by guidance, or from noise as `cycle_diffusion eta=1`.
    No model is asked.

    keep: 1 is the least change, 2 the one after it; a list, as keep=[1, 2, 3], keeps several, each a result of its own.
    room: share of the picture that what is asked for may take: of each draw, so many of the pixels that changed most do
        not count.
    """

    async def score(image: Image) -> float:
        gaps = (image.data - resized(source.data, *image.size)).abs().mean(0).flatten().sort().values  # [H * W]
        return float(await on_host(gaps[: max(1, round((1 - room) * len(gaps)))].mean()))

    scores = await gather(score(each.image) for each in candidates.made)
    return kept(candidates, scores, keep, "of change besides", notices)
