"""A decoder tuned to one picture.  Avrahami et al. 2023, "Blended Latent Diffusion", arXiv:2206.02779, section 4.2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Adam,
    Codec,
    Image,
    Latents,
    Mask,
    Moot,
    Range,
    SourceImage,
    TunableCodec,
    call,
    stage,
    step_all,
    value_and_grad,
)

Miss = Callable[[Tensor], Tensor]
LR = {"weights": 1e-4, "latents": 0.1}  # the authors'


@stage(
    "decode",
    "tuned",
    paper="arXiv:2206.02779",
    moot=(
        Moot("tune", "rounds == 0", "'rounds' says that nothing is tuned"),
        Moot("lr", "rounds == 0", "'rounds' says that nothing is tuned"),
        Moot("background", "rounds == 0", "'rounds' says that nothing is tuned"),
    ),
    facts={"looked": "rounds"},
)
async def tuned(
    latents: Latents,
    source: SourceImage,
    mask: Mask,
    codec: Codec,
    *,
    tune: Literal["weights", "latents"] = "weights",
    rounds: Annotated[int, Range(0, 1000, "rounds")] = 75,
    lr: Annotated[float, Range(0, 1)] | None = None,
    background: Annotated[float, Range(0, 10000)] = 100.0,
) -> Image:
    """Decode by weights that were tuned to give this picture's background back; the model's own stay as they are.

    Choose it where a mask's edge shows: what is inside goes over into the picture outside, where `blend pixel` cuts.
    It brings the background near, not byte for byte; `blend pixel` behind it does the rest.

    tune: "weights" are the decoder's, for this picture alone; "latents" searches better latents under the model's own
        decoder, as the paper compares: the background comes nearer, and the inside loses its texture.  Models of
        pixels have no decoder, and are always searched so.
    rounds: steps of Adam, each a picture decoded there and back.
    lr: learning rate; by default the authors', 0.0001 for weights and 0.1 for latents.
    background: what an error outside of the mask counts, where one inside is 1.
    """
    z = latents.data
    plain = await call(codec.decode, z)  # [3, H, W], padded
    height, width = plain.shape[-2:]
    canvas = latents.canvas
    extra = (0, width - canvas.width, 0, height - canvas.height)
    wanted = F.pad(source.data[None].to(plain), extra, mode="replicate")[0]
    pixels = mask.pixels(canvas.height, canvas.width).to(plain)[None, None]
    area = F.pad(pixels, extra, mode="replicate")[0]  # [1, H, W]

    def miss(made: Tensor) -> Tensor:
        """How far inside from what was edited, and outside from what was there.  [3, H, W] -> []"""
        inside = (area * (made - plain)).square().mean()
        return inside + background * ((1 - area) * (made - wanted)).square().mean()

    if tune == "weights" and isinstance(codec, TunableCodec):
        made = await _by_weights(codec, z, miss, rounds, LR["weights"] if lr is None else lr)
    else:  # where pixels are the latents there is no decoder either
        made = await _by_latents(codec, z, miss, rounds, LR["latents"] if lr is None else lr)
    return Image(made[:, : canvas.height, : canvas.width].clamp(0, 1), canvas.alpha)


async def _by_weights(codec: TunableCodec, z: Tensor, miss: Miss, rounds: int, lr: float) -> Tensor:
    """Tune the decoder's weights until these latents show the picture.  [C, h, w] -> [3, H, W]"""
    names, weights = zip(*codec.decoder_weights.items(), strict=True)
    weights, steps = list(weights), [Adam(lr) for _ in weights]

    async def loss(z: Tensor, *now: Tensor) -> Tensor:
        under = dict(zip(names, now, strict=True))
        return miss(await call(lambda batch: codec.decode_under(under, batch), z))

    for _ in range(rounds):
        grads = (await value_and_grad(loss, z, *weights)).grads[1:]
        step_all(steps, weights, list(grads))
    under = {name: each.to(z) for name, each in zip(names, weights, strict=True)}
    return await call(lambda batch: codec.decode_under(under, batch), z)


async def _by_latents(codec: Codec, z: Tensor, miss: Miss, rounds: int, lr: float) -> Tensor:
    """Tune the latents instead.  [C, h, w] -> [3, H, W]"""
    # Freely: beyond what a picture can show a clamp has no gradient to come back by.
    free, adam = getattr(codec, "decode_freely", codec.decode), Adam(lr)

    async def loss(z: Tensor) -> Tensor:
        return miss(await call(free, z))

    for _ in range(rounds):
        z = adam.step(z, (await value_and_grad(loss, z)).grads[0]).to(z)
    return await call(codec.decode, z)
