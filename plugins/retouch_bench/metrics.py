"""How near two pictures are, where it matters."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import reflected

MOST_DB = 60.0  # equal pictures count as this; half a level of 8 bits everywhere is 54


def psnr(a: Tensor, b: Tensor, where: Tensor) -> float | None:
    """PSNR in dB over the pixels that are chosen alone, at most `MOST_DB`; None where there are none.

    a, b: [3, H, W] in [0, 1].  where: [H, W], bool.  PIE-Bench blackens the rest instead, which adds to the figure.
    """
    if not where.any():
        return None
    error = float((a - b)[:, where].square().mean())
    return min(MOST_DB, -10 * math.log10(error)) if error else MOST_DB


def ssim(a: Tensor, b: Tensor, where: Tensor) -> float | None:
    """Structural similarity, averaged over the chosen pixels and the colours; None where there are none.

    The other pixels are taken from `b` in both, so that no window sees what they differ in.  Wang et al. 2004: a
    Gaussian window of 11 pixels and deviation 1.5, K1 = 0.01, K2 = 0.03.

    a, b: [3, H, W] in [0, 1].  where: [H, W], bool
    """
    if not where.any():
        return None
    a = torch.where(where, a, b)
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    likeness = likeness / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))  # [3, H, W]
    return float(likeness[:, where].mean())


def _blur(pictures: Tensor) -> Tensor:
    """Each colour under the window, mirrored at the edges."""
    taps = torch.exp(-((torch.arange(11, dtype=pictures.dtype) - 5) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()
    padded = reflected(pictures[:, None], 5)
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 11)), taps.view(1, 1, 11, 1))[:, 0]


def iou(a: Tensor, b: Tensor) -> float:
    """Intersection over union of two boolean masks of one shape; 1 if both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def structure_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of the self-similarities of two pictures' keys: what is built differently.

    Tumanyan et al. 2022, arXiv:2201.00424, eq. 2-3, as PIE-Bench takes it.  a, b: [n, tokens, d] -> [n]
    """
    return (_self_similarity(a) - _self_similarity(b)).square().mean(dim=(1, 2))


def _self_similarity(keys: Tensor) -> Tensor:
    keys = F.normalize(keys, dim=-1)
    return keys @ keys.transpose(1, 2)
