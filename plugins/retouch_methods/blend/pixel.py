"""Blending in pixels: what is outside the mask is the source itself.  Avrahami et al. 2022, arXiv:2111.14818.

The seamless kind is Pérez et al. 2003, "Poisson Image Editing", eq. 4-5.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Image, Mask, Range, Rectangle, SourceImage, on_host, stage
from retouch_methods.mask.shape import depth

GLANCE = 32  # steps after which a GPU is asked whether it has arrived


@stage("blend", "pixel", paper="arXiv:2111.14818", facts={"parts": 1})
async def pixel(
    image: Image,
    source: SourceImage,
    mask: Mask,
    *,
    feather: Annotated[int, Range(0, 512, "pixels")] = 0,
    seam: Literal["paste", "poisson"] = "paste",
) -> Image:
    """Take every pixel outside the mask from the source: not one byte changes there.

    Choose it last, wherever the background has to stay: no decoder gives a picture back exactly, and what works on all
    of a picture behind it, or a file that loses something, as JPEG does, changes it again.  Choose "poisson"
    where the edit came out lighter or darker than what surrounds it; where its colours are right, that would tint them.

    feather: pixels inside the mask's edge over which the edit fades in; 0 is a hard edge.
    seam: "paste" takes the edit's colours as they are, "poisson" its contrasts: it is shifted by whatever makes its
        edge meet the source, as smoothly as can be.
    """
    if image.size != source.size:
        raise ValueError(f"the picture is {list(image.size)}, and its source {list(source.size)}")
    area = mask.of_pixels(*source.size)
    box = (area.bounded(await on_host(area.held)) or Rectangle(0, 0, 1, 1)).grown(1 + feather, source.size)
    if seam == "poisson" and area.known[1]:
        box = Rectangle(0, 0, *source.size[::-1])  # which has other last bits
    now, before, share = image.part(box).data, source.part(box).data, area.part(box)  # [3, h, w] twice, [h, w]
    share = share.to(before)
    outside = share == 0
    edited = now + await membrane(before - now, ~outside) if seam == "poisson" else now
    mixed = torch.lerp(before, edited, share * depth(share, feather) if feather else share)
    if seam == "poisson":  # shifted colours may be brighter than white
        mixed = mixed.clamp(0, 1)
    return source.patched(box, torch.where(outside, before, mixed))


async def membrane(gap: Tensor, inside: Tensor) -> Tensor:
    """The smoothest function inside that is `gap` just outside: Laplace's equation, by conjugate gradients.  [C, H, W]

    inside: Tensor  # [H, W], bool; the picture's own edge is free
    """
    free = inside.to(torch.float64)  # [H, W]
    degree = free * _beside(torch.ones_like(free))  # [H, W], neighbours in the picture

    def laplacian(x: Tensor) -> Tensor:  # [C, H, W] -> [C, H, W]
        return degree * x - free * _beside(x)

    residual = free * _beside((1 - free) * gap.double())  # [C, H, W]
    x, wanted = torch.zeros_like(residual), 1e-6 * residual.square().sum() ** 0.5  # [C, H, W], []
    direction, size = residual, residual.square().sum()  # [C, H, W], []
    glance = 1 if gap.device.type == "cpu" else GLANCE
    for i in range(4 * sum(gap.shape[-2:])):
        going = size**0.5 > wanted
        if i % glance == 0 and not await on_host(going):
            break
        ahead = laplacian(direction)  # [C, H, W]
        # Where it has arrived it stays, so that it makes no difference when that is seen.
        stride = torch.where(going, size / (direction * ahead).sum(), 0)
        x, residual = x + stride * direction, residual - torch.where(going, stride * ahead, 0)
        before, size = size, residual.square().sum()
        direction = torch.where(going, residual + size / before * direction, direction)
    return x.to(gap)


def _beside(x: Tensor) -> Tensor:
    """The sum of the four neighbours that lie in the picture.  [..., H, W]"""
    x = F.pad(x, (1, 1, 1, 1))
    return x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
