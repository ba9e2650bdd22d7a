"""Draws by how little of the picture they changed."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import (
    Candidates,
    Image,
    ImageText,
    Need,
    Notices,
    Range,
    SourceImage,
    SourcePrompt,
    TargetPrompt,
    gather,
    resized,
    stage,
    text_apart,
)
from retouch_methods.rank.kept import kept

UNREAD = 1.0  # the most that a picture can change: behind all draws that show what was asked


@stage(
    "rank",
    "change",
    words="own",
    facts={"glances": "draws * eyes"},
    needs=(Need("keep <= draws", "keeps draw {keep} of {draws}", "write keep={draws}, or draw (…) seeds={keep}"),),
)
async def change(
    candidates: Candidates,
    source: SourceImage,
    prompt: SourcePrompt,
    target: TargetPrompt,
    notices: Notices,
    eyes: tuple[ImageText, ...] = (),
    *,
    keep: Annotated[int, Range(1, 256, "place")] = 1,
    room: Annotated[float, Range(0, 1)] = 0.05,
) -> Image:
    """Keep the draw that left most of the picture as it was: one that drew the old things anew, elsewhere, did not.

    Choose it where something is added to a thing that stays, such as a hat, and leave blends out of the draws: a blend
    puts the source back, and with it what tells a head of another size.  Blend behind it.  A draw that changed nothing
    would be the best of all: with an `eye` before it, a draw that fits the source's text better than the target's
    comes behind all others.  No model is asked otherwise.

    keep: 1 is the least change, 2 the one after it; a list, as keep=[1, 2, 3], keeps several, each a result of its own.
    room: share of the picture that what is asked for may take: of each draw, so many of the pixels that changed most do
        not count.
    """
    told = [(await eye.text(prompt.text), await eye.text(target.text)) for eye in eyes]  # [d] each

    async def unread(image: Image) -> bool:
        """Whether the eyes see the source's words in it rather than the target's."""
        seen = [await eye.picture(image.data) for eye in eyes]  # [d] each
        apart = [text_apart(torch.stack(texts), at) for texts, at in zip(told, seen, strict=True)]  # [2] each
        return 2 * sum(float(was) < float(now) for was, now in apart) > len(eyes)

    async def score(image: Image) -> float:
        gaps = (image.data - resized(source.data, *image.size)).abs().mean(0).flatten().sort().values  # [H * W]
        moved = float(gaps[: max(1, round((1 - room) * len(gaps)))].mean())
        return moved + UNREAD * (bool(eyes) and await unread(image))

    scores = await gather(score(each.image) for each in candidates.made)
    return kept(candidates, scores, keep, "of change besides", notices)
