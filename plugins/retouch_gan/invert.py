"""Inversion: a code from which the generator makes the picture again."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor

from retouch.api import Image, Moot, Range, VisionTokens, Weights, call, stage
from retouch_gan.alike import Alike
from retouch_gan.code import GanCode, GanPainter
from retouch_gan.descent import descend
from retouch_gan.networks import STYLES, StyleEncoder
from retouch_gan.vae import VaeEncoder


@stage(
    "gan",
    "invert",
    paper="arXiv:2106.05744",
    weights=("generator", "encoder", "vae"),
    side=64,
    facts={
        "passes": "(0 if method == 'encoder' else iterations) + (tuning if method == 'pivotal' else 0)",
        "glances": "towers * ((0 if method == 'encoder' else iterations) + (tuning if method == 'pivotal' else 0)) "
        "if perceptual else 0",
    },
    moot=(
        Moot("iterations", "method == 'encoder'", 'method="encoder" looks once'),
        Moot("lr", "method == 'encoder'", 'method="encoder" looks once'),
        Moot("perceptual", "method == 'encoder'", 'method="encoder" looks once'),
        Moot("space", "method == 'encoder'", 'method="encoder" looks once'),
        Moot("tuning", "method != 'pivotal'", 'only method="pivotal" tunes the generator'),
        Moot("tuning_lr", "method != 'pivotal'", 'only method="pivotal" tunes the generator'),
    ),
)
async def invert(
    image: Image,
    weights: Weights,
    towers: tuple[VisionTokens, ...],
    *,
    method: Literal["pivotal", "optimise", "encoder"] = "pivotal",
    space: Literal["w", "w+"] = "w+",
    iterations: Annotated[int, Range(0, 5000, "steps")] = 60,
    lr: Annotated[float, Range(0, 1)] = 0.05,
    perceptual: Annotated[float, Range(0, 100)] = 0.1,
    tuning: Annotated[int, Range(0, 5000, "steps")] = 60,
    tuning_lr: Annotated[float, Range(0, 1)] = 0.002,
) -> GanCode:
    """Find the code of a picture of 64 by 64 pixels in the GAN of the drawn world.

    What the generator never learnt to draw, no code makes: tuning the generator itself makes it all the same, and the
    further it is tuned the less an edit of the code means.

    method: "encoder" takes what the encoder says (pSp); "optimise" goes on from the mean style by gradient (StyleGAN2's
        projector, without its noise); "pivotal" goes on from the encoder's, and tunes the generator round the code that
        it finds (PTI).
    space: "w" has one style for all layers, "w+" one for each, which comes nearer to the picture and edits worse.
    iterations: steps of Adam on the styles; from the mean style some 200 are wanted.
    lr: how far such a step goes, in standard deviations of a style; it rises at first and falls at the end.
    perceptual: weight of the distance of a vision transformer's keys, place by place, beside the mean square of the
        pixels; 0 leaves it out.
    tuning: steps of Adam on the generator's weights.
    tuning_lr: how far such a step goes.
    """
    painter, wanted = GanPainter.of(weights), image.data.float()
    seen = await Alike.to(wanted, towers)

    async def miss(picture: Tensor) -> Tensor:
        apart = (picture - wanted).square().mean()
        return apart + perceptual * await seen.unlike(picture) if perceptual else apart

    async def of_styles(styles: Tensor) -> Tensor:
        return await miss(await painter.paint(styles.expand(STYLES, -1)))

    if method == "optimise":
        styles = painter.tensors["mean"].float().expand(STYLES, -1)
    else:
        latents = await call(weights.network("vae", VaeEncoder), wanted)
        styles = await call(weights.network("encoder", StyleEncoder), latents)
    if method != "encoder":
        begun = styles.mean(dim=0, keepdim=True) if space == "w" else styles
        (styles,) = await descend(of_styles, [begun], iterations, lr)
    code = GanCode(styles.expand(STYLES, -1).contiguous(), {}, image.alpha)
    if method != "pivotal" or not tuning:
        return code
    names, before = list(painter.own), list(painter.own.values())

    async def of_weights(*tensors: Tensor) -> Tensor:
        return await miss(await painter.paint(code.styles, dict(zip(names, tensors, strict=True))))

    tuned = await descend(of_weights, before, tuning, tuning_lr)
    return GanCode(code.styles, dict(zip(names, tuned, strict=True)), image.alpha)
