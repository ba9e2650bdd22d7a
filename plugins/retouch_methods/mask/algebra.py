"""Masks of masks: what is outside, in either, in both, in one but not the other.  Soft masks are Zadeh's fuzzy sets."""

from __future__ import annotations

import torch

from retouch.api import Frame, Mask, stage


@stage("mask", "invert")
def invert(mask: Mask) -> Mask:
    """Edit what the mask keeps, and keep what it edits."""
    return Mask(1 - mask.data, mask.scale)


@stage("mask", "union")
def union(mask: Mask, other: Mask, frame: Frame) -> Mask:
    """Edit what either mask edits: `mask union other=face`, where `face` is a flow that holds a mask."""
    mask, other = _alike(mask, other, frame)
    return Mask(torch.maximum(mask.data, other.data), mask.scale)


@stage("mask", "intersect")
def intersect(mask: Mask, other: Mask, frame: Frame) -> Mask:
    """Edit only what both masks edit: `mask intersect other=left_half`."""
    mask, other = _alike(mask, other, frame)
    return Mask(torch.minimum(mask.data, other.data), mask.scale)


@stage("mask", "subtract")
def subtract(mask: Mask, other: Mask, frame: Frame) -> Mask:
    """Edit what this mask edits and the other does not: `mask subtract other=face`."""
    mask, other = _alike(mask, other, frame)
    return Mask(torch.minimum(mask.data, 1 - other.data), mask.scale)


def _alike(one: Mask, two: Mask, frame: Frame) -> tuple[Mask, Mask]:
    """Both masks at one scale: their own if it is one, else pixels of the picture; in the first one's precision."""
    two = Mask(two.data.to(one.data), two.scale)
    if one.scale == two.scale:
        return one, two
    return Mask(one.pixels(*frame.size)), Mask(two.pixels(*frame.size))
