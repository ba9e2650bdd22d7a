"""Values that stages exchange: frozen, one image each, no batch axis."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.schedule import Level, Prediction, Schedule, Step
from retouch.core.touches import Touch, holds_a_step
from retouch.core.transfer import upload

if TYPE_CHECKING:
    from retouch.core.ops import Asks

Role = tuple[str, ...]


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


class SourceImage(Image):
    """The picture that this turn began with."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The picture that latents stand for: its own size in pixels, its alpha, and the pixels per latent cell.

    Pictures are padded by their edge to what the model takes; `height` and `width` are those before padding.
    """

    height: int
    width: int
    scale: int
    alpha: Tensor | None = None


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


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A text and what the text encoder made of it.

    embeds: Tensor  # [tokens, dim]
    spans: character range in `text` of each token; empty for special tokens
    ids: the tokens themselves, as the tokenizer numbers them; empty where an encoder has no such numbers
    """

    text: str
    embeds: Tensor
    spans: tuple[tuple[int, int], ...] = ()
    ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.ids and len(self.ids) != len(self.spans):
            raise ValueError(f"a prompt has a span for each token, and this has {len(self.spans)} for {len(self.ids)}")

    def positions(self, words: str) -> tuple[int, ...]:
        """Indices of the tokens that spell `words`, at every place where they stand as whole words."""
        found = [m.span() for m in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", self.text, re.IGNORECASE)]
        return tuple(i for i, (a, b) in enumerate(self.spans) if a < b and any(s <= a and b <= e for s, e in found))


class SourcePrompt(Prompt):
    """What the picture shows now."""


class TargetPrompt(Prompt):
    """What the picture is to show."""


class NegativePrompt(Prompt):
    """What guidance leads away from; the empty text unless the recipe says otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """What is to change: prompts before and after, and the weights of words in the target.

    weights: (words of the target prompt, factor on their attention)
    """

    source: Prompt
    target: Prompt
    negative: Prompt
    weights: tuple[tuple[str, float], ...] = ()


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

    def on(self, latents: Latents) -> Tensor:
        """The mask on the cells of these latents: a cell is edited as much as its most edited pixel.  [h, w]"""
        height, width = latents.data.shape[-2:]
        if self.scale > 1:
            return self._fitting(height, width)
        cell = latents.canvas.scale
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

    def resized(self, height: int, width: int) -> Mask:
        """A mask of pixels at another size: a pixel is edited as much as the most edited one of those it covers."""
        return Mask(F.adaptive_max_pool2d(self.data[None, None], (height, width))[0, 0])

    def _fitting(self, height: int, width: int) -> Tensor:
        if self.data.shape != (height, width):
            raise ValueError(f"the mask is {list(self.data.shape)}, and the picture wants {[height, width]}")
        return self.data


class Predict(Protocol):
    """Guidance, model and prompt already bound; a rule may override the prompts it owns."""

    def __call__(
        self, x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
    ) -> Asks[Prediction]:
        """What the guided model says of x at this level."""
        ...


class Asking(Protocol):
    """Whatever answers like a denoiser: the model itself, a tuned one, or one that remembers."""

    def __call__(
        self, x: Tensor, level: Level, prompt: Prompt, *, timestep: float | None = None, role: str = "cond"
    ) -> Asks[Prediction]:
        """What the network says of x at this level under this prompt."""
        ...


Guidance = Callable[[Asking, Tensor, Level, Prompt, Prompt], "Asks[Prediction]"]
"""async (model, x, level, prompt, negative) -> Prediction"""


class Rule(Protocol):
    """How one step is taken.  State: [k, C, h, w], k latents that move together; state[0] is the image's."""

    def begin(self, x: Tensor) -> Tensor:
        """The state that stands for one latent.  [C, h, w] -> [k, C, h, w]"""
        ...

    def __call__(self, state: Tensor, step: Step, predict: Predict) -> Awaitable[Tensor]:
        """The state one step cleaner."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """States that replay the source, and the rule that walks them.

    states: Tensor  # [N + 1, k, C, h, w], noisiest first
    pinned: True where the source branch is put back onto `states` at every step, False where it walks by itself and may
        drift, None where it walks only if an attention control or a recording sees it, and is replayed for a blend
    certificate: what requirements measured of it, by metric and with its unit
    start: the state that an edit begins with where that is not the source's, states[0]  # [k, C, h, w]
    """

    schedule: Schedule
    states: Tensor
    rule: Rule
    pinned: bool | None = False
    certificate: Mapping[str, str] = field(default_factory=dict)
    start: Tensor | None = None

    def certified(self, metric: str, value: str) -> Trajectory:
        """The same, with one more figure in its certificate."""
        return replace(self, certificate={**self.certificate, metric: value})

    def __post_init__(self) -> None:
        if self.states.ndim != 5 or len(self.states) != len(self.schedule) + 1:
            raise ValueError(
                f"a trajectory over {len(self.schedule)} steps has states [{len(self.schedule) + 1}, k, C, h, w], "
                f"and these are {list(self.states.shape)}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMaps:
    """Sums of recorded attention maps by role; a monoid, so that a loop adds them up.

    sums: role path -> Tensor  # [queries, keys]
    """

    sums: Mapping[Role, Tensor] = field(default_factory=dict)
    count: int = 0

    def __add__(self, other: AttentionMaps) -> AttentionMaps:
        total = dict(self.sums)
        for role, maps in other.sums.items():
            total[role] = total[role] + maps if role in total else maps
        return AttentionMaps(total, self.count + other.count)

    def of(self, branch: str) -> Tensor:
        """Mean map of the conditional row of one branch.  [queries, keys]"""
        found = [maps for role, maps in self.sums.items() if role[0] == branch and role[-1] == "cond"]
        if len(found) != 1:
            raise KeyError(f"{len(found)} conditional rows of '{branch}' were recorded, and one is wanted")
        return found[0] / self.count


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """What is kept of the source after each step.

    apply: (state, source state at the same level, step, maps recorded so far) -> state
    reads: the attention maps it wants recorded, at one scale
    late: whether it is given the source as it was before the step, one level noisier than the state
    start: fraction of the steps that are taken before it is first applied; what it reads is recorded from the first
    """

    apply: Callable[[Tensor, Tensor, Step, AttentionMaps], Tensor]
    reads: Touch | None = None
    late: bool = False
    start: float = 0.0

    def acts_in(self, steps: int) -> bool:
        """Whether it is applied at all in a walk of so many steps."""
        return holds_a_step(self.start, 1.0, steps)


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """Draws that depend on their key alone: the same whatever else runs, on every device."""

    seed: int
    key: str = ""

    def normal(self, count: int, like: Tensor) -> Tensor:
        """`count` draws of N(0, I) shaped as `like`.  [count, *like.shape]"""
        digest = hashlib.sha256(f"{self.seed}/{self.key}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        draws = torch.randn(count, *like.shape, generator=generator, dtype=torch.float32)
        return upload(draws.to(like.dtype), like.device)
