"""Edits led by an image-text model: of the code, or of the generator."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from torch import Tensor

from retouch.api import Edit, Image, Moot, NoiseSource, Range, Weights, gather, stage
from retouch_gan.code import GanCode, GanPainter
from retouch_gan.descent import descend
from retouch_gan.eye import Eye, astray, frames, mean, mismatch, unlike


@stage("gan", "paint", weights=("generator", "vae"))
async def paint(code: GanCode, weights: Weights) -> Image:
    """Paint the picture of a code: what the inversion found, unedited."""
    return await GanPainter.of(weights).image(code)


@stage(
    "gan",
    "edit",
    paper="arXiv:2103.17249",
    weights=("generator", "vae", "eye"),
    words="own",
    facts={"passes": "iterations * (1 if method == 'styleclip' else 1 + others)"},
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
    """Edit a code of the GAN by words, as the embedded image-text model reads them.

    It moves whatever makes the picture read as the target: nothing says where, so that what should stay changes too.

    method: "styleclip" moves the styles until the picture agrees with the target prompt (StyleCLIP's optimisation);
        "nada" moves the generator's weights along the direction between the prompts (StyleGAN-NADA).
    iterations: steps of Adam.
    lr: how far a step of "styleclip" goes; it rises at first and falls at the end.
    tuning_lr: how far a step of "nada" goes; likewise.
    pull: weight of the mean squared way that the styles have gone.
    identity: weight of the image tower's distance from the unedited picture.
    views: how the image-text model sees each picture at each step, moved and zoomed a little, by keyed noise; with one
        it sees the picture as it is, and is deceived by pictures that nobody reads so.
    others: of "nada", pictures of random styles that the generator learns the change on beside this one.
    """
    painter, eye = GanPainter.of(weights), Eye.of(weights)
    glances = iter(frames(noise, iterations, views, code.styles))
    before = await eye.see(await painter.paint(code.styles, code.tuned))
    source = await eye.read(edit.source.text, before.embedding)
    target = await eye.read(edit.target.text, before.embedding)

    async def by_code(styles: Tensor) -> Tensor:
        picture = await painter.paint(styles, code.tuned)
        seen = await eye.looks(picture, next(glances))
        apart = unlike(await eye.see(picture), before)
        gone = (styles - code.styles).square().mean()
        return mean(mismatch(each, target) for each in seen) + pull * gone + identity * apart

    if method == "styleclip":
        (styles,) = await descend(by_code, [code.styles], iterations, lr)
        return await painter.image(replace(code, styles=styles))
    begun = dict(code.tuned) or painter.own
    company = [code.styles, *painter.random(noise, others)]

    pictures = await gather(painter.paint(styles, code.tuned) for styles in company)
    asked = await gather(eye.see(each) for each in pictures)

    async def by_weights(*tensors: Tensor) -> Tensor:
        tuned = dict(zip(begun, tensors, strict=True))
        moved = await gather(painter.paint(styles, tuned) for styles in company)
        frame = next(glances)
        seen = await gather(eye.looks(each, frame) for each in moved)
        ways = mean(astray(old, new, source, target) for old, looks in zip(asked, seen, strict=True) for new in looks)
        return ways + identity * unlike(await eye.see(moved[0]), before)

    tuned = await descend(by_weights, list(begun.values()), iterations, tuning_lr)
    return await painter.image(replace(code, tuned=dict(zip(begun, tuned, strict=True))))
