"""Pictures that are out of range, lose their alpha, or lose their source."""

from __future__ import annotations

from dataclasses import replace

from retouch.api import Image, Mask, SourceImage, stage
from tests.laws.planted.faults import planted


@planted("mask 0: off by")
@stage("blend", "a")
def pastes_nothing(image: Image, source: SourceImage, mask: Mask) -> Image:
    return image


@planted("the picture goes up to 1.2")
@stage("adjust", "a")
def brightens_without_end(image: Image) -> Image:
    return replace(image, data=image.data + 0.2 + (1 - image.data.amax()))


@planted("alpha is lost")
@stage("adjust", "a")
def forgets_alpha(image: Image) -> Image:
    return Image(image.data)


@planted("alpha is [29, 31], and the picture is [58, 62]")
@stage("upscale", "a")
def leaves_alpha_small(image: Image) -> Image:
    return replace(image, data=image.data.repeat_interleave(2, -1).repeat_interleave(2, -2))
