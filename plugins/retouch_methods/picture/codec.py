"""Between pictures and the model's latents."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.nn import functional as F

from retouch.api import Canvas, Codec, Image, Latents, call, gather, stage


@stage("encode", "vae", default=True)
async def encode(image: Image, codec: Codec) -> Latents:
    """Encode a picture to the mean of its latents, padded by its edge to the size that the model takes."""
    height, width = image.data.shape[-2:]
    tall, wide = codec.padded(height, width)
    picture = F.pad(image.data[None], (0, wide - width, 0, tall - height), mode="replicate")[0]  # [3, H, W]
    latents = await call(codec.encode, picture)  # [C, h, w]
    return Latents(latents, Canvas(height, width, codec.scale, image.alpha))


async def encoded(pictures: Iterable[Image], codec: Codec) -> list[Tensor]:
    """The latents of each picture, in calls that they share.  [C, h, w] each"""
    return [each.data for each in await gather(encode(picture, codec) for picture in pictures)]


@stage("decode", "vae", default=True)
async def decode(latents: Latents, codec: Codec) -> Image:
    """Decode latents to a picture of the source's own size, with the source's alpha."""
    picture = await call(codec.decode, latents.data)  # [3, H, W], padded
    canvas = latents.canvas
    return Image(picture[:, : canvas.height, : canvas.width], canvas.alpha)
