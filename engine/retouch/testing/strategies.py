"""Hypothesis strategies for what the engine exchanges."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from retouch.core.awaited.requests import Call, Group, Part, Row
from retouch.core.denoiser import Denoiser
from retouch.core.schedule import Level
from retouch.core.values import Canvas, Image, Mask, Prompt
from retouch.run.batching import LADDER, Buckets
from retouch.testing.gaussian import GaussianMixture

_LEVEL, _PROMPT = Level(500, 0.6, 0.8), Prompt("", torch.zeros(1, 2))
_MODELS = tuple(Denoiser(GaussianMixture(torch.zeros(2, 1, 1, 1))) for _ in range(2))
_FUNCTIONS = (torch.neg, torch.square)


def buckets() -> st.SearchStrategy[Buckets]:
    """Ladders and exact modes."""
    ladders = st.sets(st.integers(1, 40), min_size=1).map(lambda sizes: Buckets((1, *sorted(sizes - {1}))))
    return st.just(Buckets(LADDER)) | ladders | st.integers(1, 20).map(lambda fixed: Buckets(fixed=fixed))


@st.composite
def groups(draw: st.DrawFn, most: int = 9) -> Group:
    """Rows that must meet: of one of two models, at one of two sizes, with gradients or without."""
    x = torch.zeros(1, draw(st.integers(1, 2)), 1, requires_grad=draw(st.booleans()))
    row = Row(draw(st.sampled_from(_MODELS)), x, _LEVEL, 500.0, _PROMPT)
    count = draw(st.integers(1, most))
    return Group((row,) * count, (("cond",),) * count)


def parts(most: int = 9) -> st.SearchStrategy[list[Part]]:
    """What waits in one tick."""
    calls = st.builds(Call, st.sampled_from(_FUNCTIONS), st.just(torch.zeros(1)))
    return st.lists(groups(most) | calls, max_size=24)


@st.composite
def pictures(draw: st.DrawFn, most: int = 24) -> Image:
    """Pictures of 8-bit colours, of any size, some with alpha."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    data = torch.randint(0, 256, (3, height, width), generator=generator) / 255
    alpha = torch.rand(height, width, generator=generator) if draw(st.booleans()) else None
    return Image(data, alpha)


@st.composite
def masks(draw: st.DrawFn, height: int, width: int, scale: int = 1) -> Mask:
    """Masks that cover a picture of this size: hard or soft, in pixels or in cells."""
    shape = (-(-height // scale), -(-width // scale))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    data = torch.rand(*shape, generator=generator)
    keep = torch.rand(*shape, generator=generator) < draw(st.sampled_from((0.0, 0.3, 0.9, 1.0)))
    hard = draw(st.booleans())
    return Mask(torch.where(keep, 0.0, torch.ones_like(data) if hard else data), scale)


def canvases() -> st.SearchStrategy[Canvas]:
    """Pictures' sizes in pixels, and the pixels of a cell."""
    return st.builds(Canvas, st.integers(1, 70), st.integers(1, 70), st.sampled_from((1, 2, 4, 8)))
