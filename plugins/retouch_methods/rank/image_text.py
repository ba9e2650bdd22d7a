"""Draws by how well they fit a text, as an image-text model sees both.

Avrahami et al. 2022 (Blended Diffusion), arXiv:2111.14818, sec. 4.3.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from retouch.api import (
    Candidates,
    Image,
    ImageText,
    Moot,
    NoiseSource,
    Notices,
    Range,
    TargetPrompt,
    gather,
    inside,
    looked_at,
    on_host,
    stage,
    text_apart,
)
from retouch_methods.rank.kept import AS_MANY, kept


@stage(
    "rank",
    "image_text",
    default=True,
    paper="arXiv:2111.14818",
    words="own",
    moot=(Moot("spread", "looks < 2", "'looks' says that it is seen as it is"),),
    facts={"glances": "draws * looks * eyes"},
    needs=(AS_MANY,),
)
async def image_text(
    candidates: Candidates,
    target: TargetPrompt,
    noise: NoiseSource,
    notices: Notices,
    eyes: tuple[ImageText, ...],
    *,
    keep: Annotated[int, Range(1, 256, "place")] = 1,
    text: str = "",
    sees: Literal["mask", "picture"] = "mask",
    looks: Annotated[int, Range(1, 64, "copies")] = 1,
    spread: Annotated[float, Range(0, 1)] = 1.0,
) -> Image:
    """Keep the draw that fits the target prompt best; all scores are told.

    The eye is not the judge: what led the draws by the same eye may have deceived it.  Another eye than the guide's
    is the better one.

    keep: 1 is the best, 2 the one after it; a list, as keep=[1, 2, 3], keeps several, each a result of its own.
    text: what is looked for; without it, what the target prompt says.
    sees: "mask" shows the eye what is edited, on black, as the paper has it; "picture" all of it.
    looks: how many copies of each draw are looked at: the picture as it is, the others turned, shifted and slanted.
    spread: how far the others differ, as a share of what the authors of Blended Diffusion have; small pictures of few
        things want less.
    """
    wanted = [await eye.text(text or target.text) for eye in eyes]  # [d] each

    async def score(image: Image, place: int) -> float:
        mask = candidates.mask or candidates.made[place].mask
        shown = inside(image.data, mask) if sees == "mask" else image.data  # [3, H, W]
        found = []
        for eye, words in zip(eyes, wanted, strict=True):
            found.append(text_apart(await looked_at(eye, shown, looks, noise, spread), words).mean())
        return float(await on_host(torch.stack(found).mean()))

    scores = await gather(score(each.image, i) for i, each in enumerate(candidates.made))
    return kept(candidates, scores, keep, "from the text", notices)
