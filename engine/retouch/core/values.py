"""Values that stages exchange: frozen, one image each, no batch axis."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.declared.storable import storable
from retouch.core.device.transfer import upload
from retouch.core.rectangle import Rectangle
from retouch.core.words import places

Role = tuple[str, ...]


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture at its own size.

    data: Tensor  # [3, H, W], sRGB in [0, 1]
    alpha: Tensor | None  # [H, W] in [0, 1]; kept as it is, never edited
    """

    data: Tensor
    alpha: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.data.shape[-2], self.data.shape[-1]

    @property
    def like(self) -> Tensor:
        """No number, of the precision and on the device that numbers have."""
        return self.data.new_empty(0)

    def part(self, box: Rectangle) -> Image:
        """What lies in a box, as a view where it is in memory already; of a large picture no more is made."""
        return Image(box.of(self.data), None if self.alpha is None else box.of(self.alpha))

    def patched(self, box: Rectangle, data: Tensor) -> Image:
        """The same picture with these colours [3, h, w] in a box."""
        made = self.data.clone()
        box.of(made).copy_(data)
        return Image(made, self.alpha)


@storable
class SourceImage(Image):
    """The picture that this turn began with."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPictures:
    """What a stage learns from: the pictures that its option `pictures` names, or the turn's own alone."""

    pictures: tuple[Image, ...]


@storable
@dataclass(frozen=True, slots=True)
class Canvas:
    """The picture that latents stand for: its own size in pixels, its alpha, and the pixels per latent cell.

    Pictures are padded by their edge to what the model takes; `height` and `width` are those before padding.
    """

    height: int
    width: int
    scale: int
    alpha: Tensor | None = None  # [height, width] in [0, 1]


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """A picture in the model's scaled latent space.

    data: Tensor  # [C, h, w]
    """

    data: Tensor
    canvas: Canvas

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of the picture that they stand for."""
        return self.canvas.height, self.canvas.width

    @property
    def like(self) -> Tensor:
        """No number, of the precision and on the device that numbers have."""
        return self.data.new_empty(0)


@storable
class SourceLatents(Latents):
    """The picture that this turn began with, in the model's scaled latent space."""


P = TypeVar("P", bound="Prompt")


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A text and what the text encoder made of it.

    embeds: Tensor  # [tokens, dim]
    spans: character range in `text` of each token; empty for special tokens
    ids: the tokens themselves, as the tokenizer numbers them; empty where an encoder has no such numbers
    segments: of encoders that stand one after the other, how many tokens each has; empty for one encoder
    extra: what else the family's network is told of the text, by name, such as "pooled" [dim]; "mask" [tokens] is False
        at padding
    """

    text: str
    embeds: Tensor
    spans: tuple[tuple[int, int], ...] = ()
    ids: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()
    extra: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])

    def __post_init__(self) -> None:
        if self.ids and len(self.ids) != len(self.spans):
            raise ValueError(f"a prompt has a span for each token, and this has {len(self.spans)} for {len(self.ids)}")

    def saying(self, embeds: Tensor) -> Prompt:
        """The same for the network but for these embeddings, which no text stands for: what tuning a prompt makes.

        embeds: Tensor  # [tokens, dim]
        """
        return replace(self.of(Prompt), text="", embeds=embeds)

    def of(self, role: type[P]) -> P:
        """The same in a role: source, target or negative."""
        return role(self.text, self.embeds, self.spans, self.ids, self.segments, self.extra)

    @property
    def shapes(self) -> tuple[object, ...]:
        """What rows must have in common, beside the number of tokens, to share a pass."""
        dim = self.embeds.shape[-1]
        if not self.extra:
            return (dim,)
        return dim, *[(name, each.shape) for name, each in self.extra.items() if name != "mask"]  # which has its tokens

    def positions(self, words: str) -> tuple[int, ...]:
        """Indices of the tokens that spell `words`, at every place where they stand as whole words."""
        found = places(words, self.text)
        return tuple(i for i, (a, b) in enumerate(self.spans) if a < b and any(s <= a and b <= e for s, e in found))


@storable
class SourcePrompt(Prompt):
    """What the picture shows now."""


@storable
class TargetPrompt(Prompt):
    """What the picture is to show."""


@storable
class NegativePrompt(Prompt):
    """What guidance leads away from; the empty text unless the recipe says otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """What is to change: prompts before and after, and the weights of words in the target.

    weights: (words of the target prompt, factor on their attention)
    said: both prompts as the recipe has them, where they are embeddings near another text or hold words of no language
    """

    source: Prompt
    target: Prompt
    negative: Prompt
    weights: tuple[tuple[str, float], ...] = ()
    said: tuple[str, str] | None = None

    @property
    def texts(self) -> tuple[str, str]:
        """What the picture shows and what it is to show, for whoever reads words with other eyes than the model's."""
        return self.said or (self.source.text, self.target.text)


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Where to edit: 1 edit, 0 keep.

    data: Tensor  # [h, w] in [0, 1]
    scale: pixels per cell, 1 for a mask of pixels
    """

    data: Tensor
    scale: int = 1

    def __post_init__(self) -> None:
        if self.data.ndim != 2:
            raise ValueError(f"a mask has the axes [h, w], and this is {list(self.data.shape)}")

    @staticmethod
    def of_cells(cells: Tensor, latents: Latents) -> Mask:
        """A mask [h, w] on the cells of these latents; where a cell is a pixel, without those that pad the picture."""
        canvas = latents.canvas
        return Mask(cells, canvas.scale) if canvas.scale > 1 else Mask(cells[: canvas.height, : canvas.width])

    def on(self, latents: Latents) -> Tensor:
        """The mask on the cells of these latents: a cell is edited as much as its most edited pixel.  [h, w]"""
        height, width = latents.data.shape[-2:]
        cell = latents.canvas.scale
        if self.scale > 1 and self.scale != cell:  # made on the latents of another model
            return Mask(self.pixels(latents.canvas.height, latents.canvas.width)).on(latents)
        if self.scale > 1:
            return self._fitting(height, width)
        canvas = self._fitting(latents.canvas.height, latents.canvas.width)
        extra = (0, width * cell - canvas.shape[1], 0, height * cell - canvas.shape[0])
        padded = F.pad(canvas[None, None], extra, mode="replicate")
        return F.max_pool2d(padded, cell)[0, 0]

    def pixels(self, height: int, width: int) -> Tensor:
        """The mask on the pixels of a picture of this size.  [H, W]"""
        if self.scale == 1:
            return self._fitting(height, width)
        grown = self.data.repeat_interleave(self.scale, 0).repeat_interleave(self.scale, 1)
        if grown.shape[0] < height or grown.shape[1] < width:
            raise ValueError(f"a mask of {list(grown.shape)} pixels does not cover a picture of {[height, width]}")
        return grown[:height, :width]

    def of_pixels(self, height: int, width: int) -> Mask:
        """The same on the pixels of a picture of this size, of which `part` and `bounds` may be asked."""
        return Mask(self.pixels(height, width))

    @property
    def known(self) -> tuple[Tensor, bool]:
        """What of it is kept, and whether that is all: it is 0 elsewhere."""
        return self.data, True

    def part(self, box: Rectangle) -> Tensor:
        """The numbers in a box of its cells, to be read only.  [h, w]"""
        return box.of(self.data)

    def bounds(self) -> Rectangle | None:
        """The least box of cells that holds all that is more than 0; None where nothing is."""
        return self.bounded(self.held.cpu())

    @property
    def held(self) -> Tensor:
        """Which rows and then which columns of what is kept of it hold more than 0.  [h + w], bool"""
        kept = self.known[0] > 0
        return torch.cat((kept.any(1), kept.any(0)))

    def bounded(self, held: Tensor) -> Rectangle | None:
        """What `bounds` gives, of a `held` that was brought to the host.  held: [h + w], bool"""
        rows, columns = (each.nonzero()[:, 0].tolist() for each in held.split(self.known[0].shape))
        return Rectangle(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else None

    def mapped(self, make: Callable[[Tensor], Tensor], reach: int = 0) -> Mask:
        """Apply a function of cells, [h, w] to [h, w], that keeps an empty mask empty and sees `reach` cells far."""
        return Mask(make(self.data), self.scale)

    def mixed(self, make: Callable[[Tensor, Tensor], Tensor], other: Mask) -> Mask:
        """Join it with another mask of the same cells, where two that are 0 give 0.  [h, w] twice -> [h, w]"""
        return Mask(make(self.data, other.data), self.scale)

    def resized(self, height: int, width: int) -> Mask:
        """A mask of pixels at another size: a pixel is edited as much as the most edited one of those it covers."""
        return Mask(F.adaptive_max_pool2d(self.data[None, None], (height, width))[0, 0])

    def _fitting(self, height: int, width: int) -> Tensor:  # [height, width]
        if self.data.shape != (height, width):
            raise ValueError(f"the mask is {list(self.data.shape)}, and the picture wants {[height, width]}")
        return self.data


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMaps:
    """Sums of recorded attention maps by role; a monoid, so that a loop adds them up.

    sums: role path -> Tensor  # [queries, keys]
    count: how often maps were recorded
    counts: how often of each role, where that is less: a rule may ask for one row at a step, and several at another
    """

    sums: Mapping[Role, Tensor] = field(default_factory=dict)
    count: int = 0
    counts: Mapping[Role, int] = field(default_factory=dict)

    def __add__(self, other: AttentionMaps) -> AttentionMaps:
        total = dict(self.sums)
        for role, maps in other.sums.items():
            total[role] = total[role] + maps if role in total else maps
        counts = {role: self.count_of(role) + other.count_of(role) for role in total}
        return AttentionMaps(total, self.count + other.count, counts)

    def count_of(self, role: Role) -> int:
        """How often this role was recorded."""
        return self.counts.get(role, self.count) if role in self.sums else 0

    def of(self, branch: str) -> Tensor:
        """Mean map of all conditional rows of one branch.  [queries, keys]"""
        found = [role for role in self.sums if role[0] == branch and role[-1] == "cond"]
        if not found:
            raise KeyError(f"no conditional row of '{branch}' was recorded")
        return torch.stack([self.sums[role] for role in found]).sum(0) / sum(self.count_of(role) for role in found)


@storable
@dataclass(frozen=True, slots=True)
class NoiseSource:
    """Draws that depend on their key alone: the same whatever else runs, on every device."""

    seed: int
    key: str = ""

    def normal(self, count: int, like: Tensor) -> Tensor:
        """`count` draws of N(0, I) shaped as `like`.  [count, *like.shape]"""
        draws = torch.randn(count, *like.shape, generator=self._generator(), dtype=torch.float32)
        return upload(draws.to(like.dtype), like.device)

    def uniform(self, count: int) -> list[float]:
        """`count` draws, even in [0, 1)."""
        return torch.rand(count, generator=self._generator(), dtype=torch.float64).tolist()

    def _generator(self) -> torch.Generator:
        digest = hashlib.sha256(f"{self.seed}/{self.key}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
