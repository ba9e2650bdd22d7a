"""A VAE in tiles: pictures of any size in the memory of one tile.

Cut by itself, a tile of sky or of grass comes back tinted: each group normalisation of the VAE measures its own tile,
and brings it to the contrast that whole pictures have.  So all tiles are normalised by the statistics of the whole
picture, measured once on a copy that is no larger than a tile.  What lies beside a tile's edge is seen and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from retouch.core.large.resampling import resized
from retouch.core.rectangle import Rectangle
from retouch.core.tiling import tile_grid, tile_ramp
from retouch.models.network.recomputed import standing_in
from retouch.models.vae_tiles import Tiling, VaeTiles

OVERLAP = 0.25  # of a tile's side

Moments = dict[nn.Module, tuple[Tensor, Tensor]]  # mean and variance of each normalisation's groups, [1, groups, 1]


@dataclass(frozen=True, slots=True)
class TiledCodec:
    """A codec whose VAE sees large pictures in tiles; all else is the codec's own.

    Like the codec within, it is a dataclass: what surrounds a stage looks into the fields of what it hands out.

    inner: with a `vae`.
    """

    inner: Any
    tiles: VaeTiles
    _working: Any = field(default_factory=RLock, repr=False, compare=False)  # one call's hooks may not meet another's

    @classmethod
    def of(cls, inner: Any, tiling: Tiling = "auto") -> Self:
        """Put a codec behind tiles that suit its model."""
        return cls(inner, VaeTiles.of(inner.side, inner.padded(1, 1)[0], tiling))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # of itself, while it is copied
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def scale(self) -> int:
        """Pixels per latent cell."""
        return self.inner.scale

    @property
    def side(self) -> int:
        """Pixels of a side of the pictures that the model was trained on."""
        return self.inner.side

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The least size that holds this one and that the network can take."""
        return self.inner.padded(height, width)

    def encode(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] -> [B, C, h, w]"""
        with self._working:
            if self.tiles.whole(pictures.shape[-2:]):
                return self.inner.encode(pictures)
            return _one_by_one(lambda each: self._through(self.inner.encode, each, self._small(each), 1), pictures)

    def decode(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W], clamped to [0, 1]"""
        return self.decode_freely(latents).clamp(0, 1)

    def decode_freely(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W], where colours may leave [0, 1]"""
        free, scale = self.inner.decode_freely, self.inner.scale
        with self._working:
            if self.tiles.whole([side * scale for side in latents.shape[-2:]]):
                return free(latents)
            return _one_by_one(lambda each: self._through(free, each, self._few(each), scale), latents)

    @property
    def decoder_weights(self) -> Mapping[str, Tensor]:
        """What `decode_under` may replace, by name; only to be read."""
        named = _Decoding(self).named_parameters()
        return {name: weight for name, weight in named if name.startswith(("vae.decoder.", "vae.post_quant_conv."))}

    def decode_under(self, weights: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W] by other weights, while the VAE's own stay; colours may leave [0, 1]."""
        with self._working:
            return functional_call(_Decoding(self), dict(weights), (latents,))

    def _small(self, picture: Tensor) -> Tensor:
        """The whole picture, no larger than a tile.  [3, H, W] -> [3, h, w]"""
        height, width = picture.shape[-2:]
        shrunk = min(1.0, self.tiles.side / max(height, width))
        return resized(picture, *self.inner.padded(*(max(1, int(side * shrunk)) for side in (height, width))))

    def _few(self, latents: Tensor) -> Tensor:
        """All of the latents, no more than a tile's: every so manieth, since means of latents are none.  [C, h, w]"""
        cells = self.tiles.side // self.inner.scale
        shrunk = min(1.0, cells / max(latents.shape[-2:]))
        size = [max(1, int(side * shrunk)) for side in latents.shape[-2:]]
        return F.interpolate(latents[None], size, mode="nearest")[0]

    def _through(self, function: Callable[[Tensor], Tensor], item: Tensor, small: Tensor, larger: int) -> Tensor:
        """One picture or its latents [C, H, W], tile by tile.  larger: 1 for pictures, else the cells' pixels."""
        unit = self.inner.scale // larger  # a cell, in what is cut
        side, overlap = self.tiles.side // larger, int(OVERLAP * self.tiles.side) // larger // unit * unit
        margin = overlap // 4 // unit * unit  # on each side
        size = (item.shape[-2], item.shape[-1])
        norms = [each for each in self.inner.vae.modules() if isinstance(each, nn.GroupNorm)]
        with torch.no_grad():
            moments = _measured(norms, lambda: function(small[None]))
        made = weight = None
        seen_by = self._again(function, moments) if torch.is_grad_enabled() else function
        with _normalised_by(moments):
            for box in tile_grid(size, side, overlap, unit):
                (height, width) = size
                kept = Rectangle(
                    box.left + margin * (box.left > 0),
                    box.top + margin * (box.top > 0),
                    box.right - margin * (box.right < width),
                    box.bottom - margin * (box.bottom < height),
                )
                part = seen_by(box.of(item)[None])[0]
                grown = part.shape[-1] / (box.right - box.left)  # of a side, below 1 where pictures become latents
                place, seen = (Rectangle(*(round(edge * grown) for edge in each)) for each in (kept, _moved(kept, box)))
                whole = round(size[0] * grown), round(size[1] * grown)
                if made is None or weight is None:
                    made = part.new_zeros(len(part), *whole)
                    weight = part.new_zeros(1, *whole)
                share = tile_ramp(place, whole, max(0, round((overlap - 2 * margin) * grown)), part)
                place.of(made).add_(seen.of(part) * share)
                place.of(weight).add_(share)
        assert made is not None
        assert weight is not None
        return made / weight

    def _again(self, function: Callable[[Tensor], Tensor], moments: Moments) -> Callable[[Tensor], Tensor]:
        """The same, of which each tile is done again on the way back: so a gradient takes one tile's memory, too."""
        weights = dict(self.inner.vae.named_parameters())  # some of which may stand in for this call alone

        @contextmanager
        def surroundings() -> Iterator[None]:
            with self._working, _normalised_by(moments), standing_in(self.inner.vae, weights):
                yield

        both = lambda: (nullcontext(), surroundings())  # noqa: E731 (the first way, and the second)
        return lambda tile: checkpoint(function, tile, use_reentrant=False, preserve_rng_state=False, context_fn=both)


class _Decoding(nn.Module):
    """The way back as a module, whose weights can be replaced for one call."""

    def __init__(self, codec: TiledCodec) -> None:
        super().__init__()
        self.vae, self.decode = codec.inner.vae, codec.decode_freely

    def forward(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W]"""
        return self.decode(latents)


def _one_by_one(work: Callable[[Tensor], Tensor], items: Tensor) -> Tensor:
    """Each of a batch by itself; the copies that fill up a batch are done once.  [B, ...] -> [B, ...]"""
    made: list[Tensor] = []
    for i, each in enumerate(items):
        made.append(made[-1] if i and torch.equal(each, items[i - 1]) else work(each))
    return torch.stack(made)


def _moved(inner: Rectangle, outer: Rectangle) -> Rectangle:
    """A rectangle, counted from the corner of another."""
    left, top = outer.left, outer.top
    return Rectangle(inner.left - left, inner.top - top, inner.right - left, inner.bottom - top)


def _measured(norms: list[nn.GroupNorm], work: Callable[[], object]) -> Moments:
    """What each normalisation measures while this is done, of one item."""
    found: Moments = {}

    def measure(norm: nn.Module, given: tuple[Tensor, ...], _: Tensor) -> None:
        groups = given[0].float().reshape(1, norm.num_groups, -1)  # pyright: ignore[reportCallIssue, reportArgumentType]
        found[norm] = groups.mean(-1, keepdim=True), groups.var(-1, keepdim=True, correction=0)

    with _hooked(norms, measure):
        work()
    return found


@contextmanager
def _normalised_by(moments: Moments) -> Iterator[None]:
    """Let normalisations take these statistics for those of what they are given."""

    def normalise(norm: Any, given: tuple[Tensor, ...], _: Tensor) -> Tensor:  # [B, C, ...] -> [B, C, ...]
        (x,), (mean, variance) = given, moments[norm]
        even = (x.float().reshape(len(x), norm.num_groups, -1) - mean) * torch.rsqrt(variance + norm.eps)
        shape = (1, -1, *[1] * (x.ndim - 2))
        out = (even.reshape(x.shape) * norm.weight.float().view(shape) + norm.bias.float().view(shape)).to(x)
        return F.silu(out) if getattr(norm, "silu", False) else out

    with _hooked(list(moments), normalise):
        yield


@contextmanager
def _hooked(norms: Any, hook: Callable[..., Tensor | None]) -> Iterator[None]:
    handles = [norm.register_forward_hook(hook) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
