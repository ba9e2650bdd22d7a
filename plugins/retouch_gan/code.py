"""A picture as the generator has it, and how it is painted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call

from retouch.api import Image, NoiseSource, Weights, call
from retouch_gan.networks import NOISE, STYLES, VALUES, Generator
from retouch_gan.vae import VaeDecoder

MAPPING, TUNED = "mapping.", "synthesis."  # how names of the generator's weights begin; the latter's may be tuned


@dataclass(frozen=True, slots=True, eq=False)
class GanCode:
    """Styles, and the generator that makes the picture of them.

    styles: Tensor  # [6, 128], float32, one for each layer
    tuned: the generator's weights where they are this picture's own, by name; empty where they are everybody's
    alpha: Tensor | None  # [64, 64], of the picture
    """

    styles: Tensor
    tuned: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    alpha: Tensor | None = None


@dataclass(frozen=True, slots=True)
class GanPainter:
    """The generator and the decoder of its latents.

    tensors: the generator's weights, as the run has them, by name.
    """

    generator: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, weights: Weights) -> GanPainter:
        """Those whose weights are called "generator" and "vae"."""
        generator, decoder = weights.network("generator", Generator), weights.network("vae", VaeDecoder)
        return cls(generator, decoder, weights.tensors("generator"))

    @property
    def own(self) -> dict[str, Tensor]:
        """The weights that may be tuned, in float32, by name."""
        return {name: each.float() for name, each in self.tensors.items() if name.startswith(TUNED)}

    async def paint(self, styles: Tensor, tuned: Mapping[str, Tensor] | None = None) -> Tensor:
        """Make the picture of styles [6, 128]; differentiable in these, and in weights.  [3, 64, 64], about in [0, 1]

        Pictures of everybody's generator share a pass; one whose weights are its own is made alone.
        """
        if tuned:
            latents = functional_call(_frame(), dict(tuned), (styles[None],))[0]
        else:
            latents = await call(self.generator, styles)
        return await call(self.decoder, latents)

    async def image(self, code: GanCode) -> Image:
        """The picture of a code."""
        picture = await self.paint(code.styles, code.tuned)
        return Image(picture.clamp(0, 1), code.alpha)

    def random(self, noise: NoiseSource, count: int) -> list[Tensor]:
        """Styles of other pictures, by keyed noise: of each attribute the value whose draw is the largest.  [6, 128]"""
        like = self.tensors["mean"].float()
        draws = noise.normal(count, like.new_zeros(NOISE + sum(VALUES)))
        z, *chances = draws.split([NOISE, *VALUES], dim=1)
        labels = torch.cat([(each == each.amax(dim=1, keepdim=True)).to(like) for each in chances], dim=1)
        weights = {name.removeprefix(MAPPING): each.float() for name, each in self.tensors.items() if MAPPING in name}
        styles = functional_call(_frame().mapping, weights, (z, labels))
        return list(styles[:, None].expand(-1, STYLES, -1))


@cache
def _frame() -> Generator:
    """A generator without weights, which are given to each of its passes."""
    with torch.device("meta"):
        return Generator()
