"""Group normalisation and SiLU in one go over channels_last memory, as Triton kernels.  Wu & He 2018, arXiv:1803.08494.

torch's own kernel knows the order [C, h, w] alone: it copies its input into that order, and the convolution after it
copies back.  These read twice and write once, and a row's result depends on that row alone, whatever the batch.
"""

# Triton comes with torch for CUDA alone, and its kernels are called by [grid](…).
# pyright: reportMissingImports=false, reportIndexIssue=false

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 64  # pixels by channels of one tile
MOST_PARTS, LEAST_PIXELS = 256, 128  # into how many parts the pixels of a row are shared out, each of so many at least


@triton.jit
def _sum_up(x, sums, pixels, channels, each: tl.constexpr, block: tl.constexpr):
    """Sums and sums of squares of every channel over a part of the pixels, about the channel's first pixel."""
    row, part, parts = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64), tl.num_programs(1)
    c = tl.program_id(2) * block + tl.arange(0, block)
    inside = c < channels
    base = x + row * pixels * channels
    origin = tl.load(base + c, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([block], tl.float32)
    squares = tl.zeros([block], tl.float32)
    end = tl.minimum((part + 1) * each, pixels)
    for start in range(0, each, block):
        first = part * each + start
        p = tl.arange(0, block)  # from the first on, so that within a tile 32 bits do
        there = (first + p < end)[:, None] & inside[None, :]
        tile = base + first * channels
        value = tl.load(tile + p[:, None] * channels + c[None, :], mask=there, other=0.0).to(tl.float32)
        apart = tl.where(there, value - origin[None, :], 0.0)
        total += tl.sum(apart, 0)
        squares += tl.sum(apart * apart, 0)
    at = sums + (row * parts + part) * 2 * channels + c
    tl.store(at, total, mask=inside)
    tl.store(at + channels, squares, mask=inside)


@triton.jit
def _moments(x, sums, moments, pixels, channels, wide, parts, eps, parts2: tl.constexpr, wide2: tl.constexpr):
    """Mean and 1 / standard deviation of each group, from the sums of its channels."""
    row, group, groups = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    i, part = tl.arange(0, wide2), tl.arange(0, parts2)
    inside, c = i < wide, group * wide + i
    there = (part < parts)[:, None] & inside[None, :]
    at = sums + (row * parts + part[:, None]) * 2 * channels + c[None, :]
    total = tl.sum(tl.load(at, mask=there, other=0.0), 0)
    squares = tl.sum(tl.load(at + channels, mask=there, other=0.0), 0)
    origin = tl.load(x + row * pixels * channels + c, mask=inside, other=0.0).to(tl.float32)
    means = origin + total / pixels
    within = squares - total * total / pixels
    mean = tl.sum(tl.where(inside, means, 0.0), 0) / wide
    apart = tl.where(inside, means - mean, 0.0)
    variance = (tl.sum(within, 0) / pixels + tl.sum(apart * apart, 0)) / wide
    tl.store(moments + (row * groups + group) * 2, mean)
    tl.store(moments + (row * groups + group) * 2 + 1, 1.0 / tl.sqrt(variance + eps))


@triton.jit
def _normalise(x, out, moments, weight, bias, pixels, channels, wide, groups, silu: tl.constexpr, block: tl.constexpr):
    # Pixels go along the first axis of the grid: the others end at 65,535, fewer than a picture of 2,048² has blocks.
    first, row = tl.program_id(0).to(tl.int64) * block, tl.program_id(1).to(tl.int64)
    p = tl.arange(0, block)
    c = tl.program_id(2) * block + tl.arange(0, block)
    inside = c < channels
    there = (first + p < pixels)[:, None] & inside[None, :]
    at = (row * pixels + first) * channels + p[:, None] * channels + c[None, :]
    told = moments + (row * groups + c // wide) * 2
    mean = tl.load(told, mask=inside, other=0.0)
    scale = tl.load(told + 1, mask=inside, other=0.0) * tl.load(weight + c, mask=inside, other=0.0).to(tl.float32)
    shift = tl.load(bias + c, mask=inside, other=0.0).to(tl.float32) - mean * scale
    y = tl.load(x + at, mask=there, other=0.0).to(tl.float32) * scale[None, :] + shift[None, :]
    if silu:
        y = y * tl.sigmoid(y)
    tl.store(out + at, y.to(out.dtype.element_ty), mask=there)


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, *, silu: bool) -> Tensor:
    """Normalise [rows, C, h, w], channels_last in memory as the result is; sums are float32.

    A row may have more numbers than 32 bits count, and up to 65,535 rows come at once.
    """
    rows, channels, height, width = x.shape
    pixels, wide, across = height * width, channels // groups, triton.cdiv(channels, BLOCK)
    parts = min(MOST_PARTS, triton.cdiv(pixels, LEAST_PIXELS))
    sums = torch.empty(rows, parts, 2, channels, dtype=torch.float32, device=x.device)
    moments = torch.empty(rows, groups, 2, dtype=torch.float32, device=x.device)
    out = torch.empty_like(x)
    launch: Any = _sum_up[(rows, parts, across)]
    launch(x, sums, pixels, channels, triton.cdiv(pixels, parts), BLOCK)
    launch = _moments[(rows, groups)]
    sizes = triton.next_power_of_2(parts), triton.next_power_of_2(wide)
    launch(x, sums, moments, pixels, channels, wide, parts, eps, *sizes)
    launch = _normalise[(triton.cdiv(pixels, BLOCK), rows, across)]
    launch(x, out, moments, weight, bias, pixels, channels, wide, groups, silu, BLOCK)
    return out
