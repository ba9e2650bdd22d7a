"""Masks of masks: what is outside, in either, in both, in one but not the other.  Soft masks are Zadeh's fuzzy sets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from retouch.api import Frame, Mask, stage


@stage("mask", "invert", facts={"empty": "mask_full", "full": "mask_empty"})
def invert(mask: Mask) -> Mask:
    """Edit what the mask keeps, and keep what it edits."""
    return Mask(1 - mask.data, mask.scale)


@stage(
    "mask",
    "union",
    facts={"parts": 1, "empty": "mask_empty and other_empty", "full": "mask_full or other_full"},
)
def union(mask: Mask, other: Mask, frame: Frame) -> Mask:
    """Edit what either mask edits: `mask union other=face`, where `face` is a flow that holds a mask."""
    return _both(torch.maximum, mask, other, frame)


@stage(
    "mask",
    "intersect",
    facts={"parts": 1, "empty": "mask_empty or other_empty", "full": "mask_full and other_full"},
)
def intersect(mask: Mask, other: Mask, frame: Frame) -> Mask:
    """Edit only what both masks edit: `mask intersect other=left_half`."""
    return _both(torch.minimum, mask, other, frame)


@stage(
    "mask",
    "subtract",
    facts={"parts": 1, "empty": "mask_empty or other_full", "full": "mask_full and other_empty"},
)
def subtract(mask: Mask, other: Mask, frame: Frame) -> Mask:
    """Edit what this mask edits and the other does not: `mask subtract other=face`."""
    return _both(lambda one, two: torch.minimum(one, 1 - two), mask, other, frame)


def _both(mix: Callable[[Tensor, Tensor], Tensor], one: Mask, two: Mask, frame: Frame) -> Mask:
    """What a function of both makes, at one scale: their own if it is one, else pixels of the picture.

    In the first one's precision; the function leaves nothing where neither holds anything.
    """
    if one.scale != two.scale:
        one, two = one.of_pixels(*frame.size), two.of_pixels(*frame.size)
    return one.mixed(lambda first, second: mix(first, second.to(first)), two)
