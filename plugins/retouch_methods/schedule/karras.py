"""Noise levels whose roots are even.  Karras et al. 2022, arXiv:2206.00364, eq. 5."""

from __future__ import annotations

from typing import Annotated

from retouch.api import KnownLevels, Range, Schedule, stage


@stage("schedule", "karras", paper="arXiv:2206.00364", predicts=("epsilon", "v_prediction"), instead="schedule shift")
def karras(schedule: Schedule, *, rho: Annotated[float, Range(1, 100)] = 7.0) -> Schedule:
    """Space the steps evenly in the rho-th root of the noise, so that most of them are at little noise.

    Choose it with `solver heun` or `solver dpmpp` at ten to thirty steps.  Noise is counted as sigma / alpha; between
    trained timesteps the network is told a fraction of one.

    rho: 1 is even in the noise itself, 7 the paper's, more brings the steps nearer to the picture still.
    """

    def curve(most: float, least: float, share: float) -> float:
        # Eq. 5 there.
        high, low = most ** (1 / rho), least ** (1 / rho)
        return (high + share * (low - high)) ** rho

    return KnownLevels(schedule).ramp(len(schedule), curve)
