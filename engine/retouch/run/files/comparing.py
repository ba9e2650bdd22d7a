"""How much two pictures differ."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10
from pathlib import Path

import numpy as np

from retouch import pictures

CLOSE = 40.0  # dB; rounding of another device or of other company in a call stays above


@dataclass(frozen=True, slots=True)
class Difference:
    """psnr: in dB, infinite for equal pixels.  share: of pixels that differ.  most: levels of 255."""

    psnr: float
    share: float
    most: int
    sized: bool = True  # both are of one size

    @property
    def none(self) -> bool:
        """Whether every pixel is the same."""
        return self.sized and self.most == 0

    def __str__(self) -> str:
        if not self.sized:
            return "the pictures are not of one size"
        if self.none:
            return "every pixel is the same"
        return f"PSNR {self.psnr:.1f} dB, {self.share:.1%} of the pixels differ, by {self.most} of 255 at most"


def compare(one: Path, other: Path) -> Difference:
    """Compare the pixels of two picture files, transparency included.  Raises Unreadable."""
    a, b = _pixels(one), _pixels(other)
    if a.shape != b.shape:
        return Difference(0.0, 1.0, 255, sized=False)
    apart = np.abs(a.astype(np.int16) - b)
    error = float(np.square(apart, dtype=np.float64).mean())
    psnr = 10 * log10(255**2 / error) if error else inf
    return Difference(psnr, float((apart.max(axis=2) > 0).mean()), int(apart.max()))


def _pixels(path: Path) -> np.ndarray:
    picture = pictures.read(path)
    alpha = np.full(picture.rgb.shape[:2], 255, np.uint8) if picture.alpha is None else picture.alpha
    return np.dstack([picture.rgb, alpha])
