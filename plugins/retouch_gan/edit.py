"""Edits led by an image-text model: of the code, or of the generator."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Edit,
    Image,
    ImageText,
    Moot,
    Need,
    NoiseSource,
    Range,
    VisionTokens,
    Weights,
    cosine_apart,
    direction_apart,
    gather,
    looked_at,
    stage,
    text_direction,
)
from retouch_gan.alike import Alike
from retouch_gan.code import GanCode, GanPainter
from retouch_gan.descent import descend

SPREAD = 0.3  # of the copies that an eye sees
LEAST = 0.01  # what is added to how far a picture has changed: before the first step it has not


@stage("gan", "paint", weights=("generator", "vae"))
async def paint(code: GanCode, weights: Weights) -> Image:
    """Paint the picture of a code: what the inversion found, unedited."""
    return await GanPainter.of(weights).image(code)


@stage(
    "gan",
    "edit",
    paper="arXiv:2103.17249",
    weights=("generator", "vae"),
    words="own",
    needs=(
        Need(
            "method != 'nada' or alike == 0",
            "goes from what one prompt says to what the other does, and both say the same",
            'write what changes, such as "cat"->"dog"',
        ),
    ),
    facts={
        "passes": "iterations * (1 if method == 'styleclip' else 1 + others)",
        "glances": "iterations * (views * eyes * (1 if method == 'styleclip' else 2 + 2 * others) + towers)",
    },
    moot=(
        Moot("lr", "method == 'nada'", 'method="nada" leaves the code as it is'),
        Moot("tuning_lr", "method == 'styleclip'", 'method="styleclip" leaves the generator as it is'),
        Moot("pull", "method == 'nada'", 'method="nada" leaves the code as it is'),
        Moot("others", "method == 'styleclip'", 'method="styleclip" leaves the generator as it is'),
    ),
)
async def edit(
    code: GanCode,
    edit: Edit,
    weights: Weights,
    noise: NoiseSource,
    eyes: tuple[ImageText, ...],
    towers: tuple[VisionTokens, ...],
    *,
    method: Literal["styleclip", "nada"] = "styleclip",
    iterations: Annotated[int, Range(0, 5000, "steps")] = 60,
    lr: Annotated[float, Range(0, 1)] = 0.05,
    tuning_lr: Annotated[float, Range(0, 1)] = 0.002,
    pull: Annotated[float, Range(0, 100)] = 0.1,
    identity: Annotated[float, Range(0, 100)] = 0.3,
    views: Annotated[int, Range(1, 64, "views")] = 4,
    others: Annotated[int, Range(0, 16, "pictures")] = 1,
) -> Image:
    """Edit a code of the GAN by words, as the eyes of the turn read them.

    It moves whatever makes the picture read as the target: nothing says where, so that what should stay changes too.

    method: "styleclip" moves the styles until the picture agrees with the target prompt (StyleCLIP's optimisation);
        "nada" moves the generator's weights along the direction between the prompts (StyleGAN-NADA).
    iterations: steps of Adam.
    lr: how far a step of "styleclip" goes; it rises at first and falls at the end.
    tuning_lr: how far a step of "nada" goes; likewise.
    pull: weight of the mean squared way that the styles have gone.
    identity: weight of the distance from the unedited picture, as a vision transformer's keys tell it place by place.
    views: how many copies of each picture an eye sees at each step: as it is, and the others turned, shifted and
        slanted a little, by keyed noise; with one it is deceived by pictures that nobody reads so.
    others: of "nada", pictures of random styles that the generator learns the change on beside this one.
    """
    painter, steps = GanPainter.of(weights), count()
    before = await Alike.to(await painter.paint(code.styles, code.tuned), towers)

    async def seen(pictures: list[Tensor]) -> list[list[Tensor]]:
        """What each eye sees of copies of pictures, all copied alike.  [views, d] each, by eye and picture"""
        drawn = replace(noise, key=f"{noise.key}/{next(steps)}")
        return await gather(gather(looked_at(eye, each, views, drawn, SPREAD) for each in pictures) for eye in eyes)

    if method == "styleclip":
        words = [await eye.text(edit.texts[1]) for eye in eyes]  # [d] each

        async def by_code(styles: Tensor) -> Tensor:
            picture = await painter.paint(styles, code.tuned)
            found = [cosine_apart(each, text) for (each,), text in zip(await seen([picture]), words, strict=True)]
            gone = (styles - code.styles).square().mean()
            return torch.stack(found).mean() + pull * gone + identity * await before.unlike(picture)

        (styles,) = await descend(by_code, [code.styles], iterations, lr)
        return await painter.image(replace(code, styles=styles))

    ways = [await text_direction(eye, *edit.texts) for eye in eyes]  # [d] each
    begun = dict(code.tuned) or painter.own
    company = [code.styles, *painter.random(noise, others)]
    asked = await gather(painter.paint(styles, code.tuned) for styles in company)

    async def by_weights(*tensors: Tensor) -> Tensor:
        tuned = dict(zip(begun, tensors, strict=True))
        moved = await gather(painter.paint(styles, tuned) for styles in company)
        found = [
            direction_apart(torch.stack(looks[len(asked) :]), torch.stack(looks[: len(asked)]), way, LEAST)
            for looks, way in zip(await seen([*asked, *moved]), ways, strict=True)
        ]
        return torch.stack(found).mean() + identity * await before.unlike(moved[0])

    tuned = await descend(by_weights, list(begun.values()), iterations, tuning_lr)
    return await painter.image(replace(code, tuned=dict(zip(begun, tuned, strict=True))))
