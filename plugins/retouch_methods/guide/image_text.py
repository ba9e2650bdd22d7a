"""Guidance by how well the predicted picture fits a text, as an image-text model sees both.

Avrahami et al. 2022 (Blended Diffusion), arXiv:2111.14818, sec. 4.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Codec,
    Edit,
    Guidance,
    ImageText,
    Loss,
    Mask,
    NoiseSource,
    Predicted,
    Range,
    SameToTheModel,
    copies,
    gather,
    inside,
    stage,
    text_apart,
    with_loss,
)

ALIKE = ", as the eye of this turn reads them"


@stage(
    "guide",
    "image_text",
    paper="arXiv:2111.14818",
    facts={"guide": "guide", "gradient": "2 if through == 'network' else 1"},
    words="own",
)
async def image_text(
    guidance: Guidance,
    edit: Edit,
    codec: Codec,
    noise: NoiseSource,
    eyes: tuple[ImageText, ...],
    mask: Mask | None = None,
    *,
    weight: Annotated[float, Range(0, 1_000_000)] = 1000.0,
    sees: Literal["mask", "picture"] = "mask",
    looks: Annotated[int, Range(1, 64, "copies")] = 8,
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step towards pictures that fit the target prompt, inside the mask if there is one.

    Choose it on models that know no text, or beside a prompt that the model reads badly.

    weight: how much the distance counts: the squared angle between picture and text, doubled, in radians.
    sees: "mask" shows the network what is edited, on black, as the paper has it; "picture" all of it, for words that
        say what the whole picture is to be.
    looks: how many copies are looked at: the picture as it is, the others turned, shifted and slanted.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    wanted = [await eye.text(edit.target.text) for eye in eyes]  # [d] each
    if edit.source.text != edit.target.text:
        here = [await eye.text(edit.source.text) for eye in eyes]
        if all(map(torch.equal, wanted, here)):
            raise SameToTheModel(ALIKE, "use words that it knows")

    async def miss(seen: Predicted) -> Tensor:
        picture = await seen.picture("mixed")  # [3, H, W]
        picture = inside(picture, mask) if sees == "mask" else picture
        drawn = replace(noise, key=f"{noise.key}/{seen.level.timestep}/{seen.attempt}")
        found = [_distance(eye, picture, text, looks, drawn) for eye, text in zip(eyes, wanted, strict=True)]
        return torch.stack(await gather(found)).mean()

    return with_loss(guidance, Loss(miss, weight, through), codec)


async def _distance(eye: ImageText, picture: Tensor, text: Tensor, looks: int, noise: NoiseSource) -> Tensor:
    """The mean over all copies.  picture: [3, H, W]; text: [d]"""
    made = copies(picture, eye.side, looks, noise)
    found = torch.stack(await gather(eye.picture(each) for each in made))  # [looks, d]
    return text_apart(found, text).mean()
