"""The noise levels a model was trained on, from its scheduler_config.json.

The numbers are those of diffusers' DDIMScheduler with the same config (its defaults where a key is absent),
in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Any

from retouch.core.grid import Grid
from retouch.models.errors import BrokenModel

if TYPE_CHECKING:
    from retouch.core.schedule import Schedule

_SPACINGS = ("leading", "trailing", "linspace")


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """alphas_cumprod at each training timestep, and how a sampler picks its timesteps."""

    alphas_cumprod: tuple[float, ...]
    steps_offset: int
    set_alpha_to_one: bool
    timestep_spacing: str  # leading, trailing or linspace

    @property
    def grid(self) -> Grid:
        """Which of them a walk visits."""
        return Grid(len(self.alphas_cumprod), self.steps_offset, self.timestep_spacing)

    @property
    def num_train_timesteps(self) -> int:
        """How many levels the model was trained on."""
        return len(self.alphas_cumprod)


def ddim_schedule(config: Mapping[str, Any], steps: int) -> Schedule:
    """Return the grid of diffusers' DDIMScheduler with this config.  Raises ValueError for too many steps."""
    from retouch.core.schedule import Schedule

    levels = noise_levels(config)
    return Schedule.ddim(
        levels.alphas_cumprod,
        steps,
        offset=levels.steps_offset,
        to_one=levels.set_alpha_to_one,
        spacing=levels.timestep_spacing,
    )


def noise_levels(config: Mapping[str, Any]) -> NoiseLevels:
    """Read a diffusers scheduler config."""
    alphas_cumprod = list(accumulate((1 - beta for beta in _betas(config)), mul))
    if config.get("rescale_betas_zero_snr"):
        # Lin et al. 2023, algorithm 1: shift and stretch sqrt(alphas_cumprod) so that the last is zero
        roots = [math.sqrt(a) for a in alphas_cumprod]
        first, last = roots[0], roots[-1]
        alphas_cumprod = [((root - last) * first / (first - last)) ** 2 for root in roots]
    spacing = config.get("timestep_spacing", "leading")
    if spacing not in _SPACINGS:
        raise BrokenModel(f"scheduler_config.json: timestep_spacing '{spacing}' is not one of {', '.join(_SPACINGS)}")
    return NoiseLevels(
        tuple(alphas_cumprod), config.get("steps_offset", 0), config.get("set_alpha_to_one", True), spacing
    )


def _betas(config: Mapping[str, Any]) -> Iterable[float]:
    if (trained := config.get("trained_betas")) is not None:
        return [float(beta) for beta in trained]
    n, low, high = (
        config.get("num_train_timesteps", 1000),
        config.get("beta_start", 0.0001),
        config.get("beta_end", 0.02),
    )
    match config.get("beta_schedule", "linear"):
        case "linear":
            return _linspace(low, high, n)
        case "scaled_linear":
            return (root**2 for root in _linspace(math.sqrt(low), math.sqrt(high), n))
        case "squaredcos_cap_v2":
            return (min(1 - _cosine((i + 1) / n) / _cosine(i / n), 0.999) for i in range(n))
        case other:
            raise BrokenModel(f"scheduler_config.json: beta_schedule '{other}' is not known")


def _linspace(low: float, high: float, n: int) -> Iterable[float]:
    return (low + (high - low) * i / max(n - 1, 1) for i in range(n))


def _cosine(t: float) -> float:
    """Nichol & Dhariwal 2021, eq. 17."""
    return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
