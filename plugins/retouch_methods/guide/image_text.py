"""Guidance by how well the predicted picture fits a text, as an image-text model sees both.

Avrahami et al. 2022 (Blended Diffusion), arXiv:2111.14818, sec. 4.1.  What is looked for may be mixed of the texts
and the source picture, as Kwon and Ye 2023 (DiffuseIT), arXiv:2209.15264, sec. 3.2, have it of Couairon et al. 2022
(FlexIT), arXiv:2203.04705, eq. 4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Codec,
    Edit,
    Guidance,
    ImageText,
    Loss,
    Mask,
    Moot,
    NoiseSource,
    Predicted,
    Range,
    SameToTheModel,
    SourceImage,
    cosine_apart,
    gather,
    inside,
    looked_at,
    on_host,
    stage,
    text_apart,
    with_loss,
)

ALIKE = ", as the eye of this turn reads them"


@stage(
    "guide",
    "image_text",
    paper="arXiv:2111.14818",
    moot=(Moot("spread", "looks < 2", "'looks' says that it is seen as it is"),),
    facts={
        "guide": "guide",
        "gradient": "2 if through == 'network' else 1",
        "seen": "looks * eyes",
        "idle": "weight == 0",
    },
    words="own",
)
async def image_text(
    guidance: Guidance,
    edit: Edit,
    codec: Codec,
    noise: NoiseSource,
    source: SourceImage,
    eyes: tuple[ImageText, ...],
    mask: Mask | None = None,
    *,
    weight: Annotated[float, Range(0, 1_000_000)] = 1000.0,
    sees: Literal["mask", "picture"] = "mask",
    looks: Annotated[int, Range(1, 64, "copies")] = 8,
    spread: Annotated[float, Range(0, 1)] = 1.0,
    distance: Literal["sphere", "cosine"] = "sphere",
    less_source: Annotated[float, Range(0, 10)] = 0.0,
    more_picture: Annotated[float, Range(0, 10)] = 0.0,
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step towards pictures that fit the target prompt, inside the mask if there is one.

    Choose it on models that know no text, or beside a prompt that the model reads badly. The last step draws next to
    no noise and is led by as little, so a walk of one step stays nearly as it was.

    weight: how much the distance counts.
    sees: "mask" shows the network what is edited, on black, as the paper has it; "picture" all of it, for words that
        say what the whole picture is to be.
    looks: how many copies are looked at: the picture as it is, the others turned, shifted and slanted.
    spread: how far the others differ, as a share of what the authors of Blended Diffusion have; small pictures of few
        things want less.
    distance: "sphere" is half of the squared angle between picture and text, in radians; "cosine" is 1 - its cosine.
    less_source: how much of the source prompt is taken away from what is looked for; DiffuseIT has 0.4.
    more_picture: how much of the source picture, as the network sees it, is added to that; DiffuseIT has 0.2.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    before, after = edit.texts
    wanted = [await eye.text(after) for eye in eyes]  # [d] each
    here = [await eye.text(before) for eye in eyes]
    apart_here = torch.stack([(one != other).any() for one, other in zip(wanted, here, strict=True)])
    if before != after and not (await on_host(apart_here)).any():
        raise SameToTheModel(ALIKE, "use words that it knows")
    if less_source or more_picture:
        shown = inside(source.data, mask) if sees == "mask" else source.data
        looks_like = [await eye.picture(shown) for eye in eyes]
        wanted = [
            F.normalize(text - less_source * old + more_picture * seen, dim=0)
            for text, old, seen in zip(wanted, here, looks_like, strict=True)
        ]
    apart = text_apart if distance == "sphere" else cosine_apart

    async def miss(seen: Predicted) -> Tensor:
        picture = await seen.picture("mixed")  # [3, H, W]
        picture = inside(picture, mask) if sees == "mask" else picture
        drawn = replace(noise, key=f"{noise.key}/{seen.level.timestep}/{seen.attempt}")
        found = await gather(looked_at(eye, picture, looks, drawn, spread) for eye in eyes)  # [looks, d] each
        return torch.stack([apart(*each).mean() for each in zip(found, wanted, strict=True)]).mean()

    return with_loss(guidance, Loss(miss, weight, through), codec)
