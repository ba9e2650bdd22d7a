"""The device that a run takes when nobody says which."""

from __future__ import annotations

import torch


def best_device() -> str:
    """Name the fastest device there is: "cuda", else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
