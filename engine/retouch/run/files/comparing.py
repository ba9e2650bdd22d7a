"""How much two pictures differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf, log10
from pathlib import Path

import numpy as np

from retouch import pictures
from retouch.pictures.opening import LARGEST, opened

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
    """All that is to be compared, as bytes of four: of a film every picture, of a list those that it names."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
        except Exception as err:  # the library has no error of its own for each way in which a file is broken
            raise pictures.Unreadable(path, f"has tensors that cannot be read: {err}") from err
        return np.frombuffer(b"".join(tensors[name].tobytes() for name in sorted(tensors)), np.uint8).reshape(-1, 1, 1)
    if path.suffix == ".json":
        listed = [_picture(path.parent / name) for name in _listed(path)]  # of any sizes
        return np.concatenate([each.reshape(-1, 1, each.shape[-1]) for each in listed])
    with opened(path, LARGEST) as film:
        if (count := getattr(film, "n_frames", 1)) > 1:
            frames: list[np.ndarray] = []
            for k in range(count):
                film.seek(k)
                frames.append(np.asarray(film.convert("RGBA")))
            return np.concatenate(frames)
    return _picture(path)


def _listed(path: Path) -> list[str]:
    try:
        return [frame["file_path"] for frame in json.loads(path.read_text("utf-8"))["frames"]]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise pictures.Unreadable(path, f"lists no pictures: {err}") from err


def _picture(path: Path) -> np.ndarray:
    picture = pictures.read(path)
    alpha = np.full(picture.rgb.shape[:2], 255, np.uint8) if picture.alpha is None else picture.alpha
    return np.dstack([picture.rgb, alpha])
