"""Noise levels that are even in their logarithm: linear in log-SNR.  Lu et al. 2022, arXiv:2206.00927, section 3.4."""

from __future__ import annotations

from retouch.api import KnownLevels, Schedule, stage


@stage(
    "schedule", "exponential", paper="arXiv:2206.00927", predicts=("epsilon", "v_prediction"), instead="schedule shift"
)
def exponential(schedule: Schedule) -> Schedule:
    """Space the steps evenly in the logarithm of the noise, sigma / alpha, which is also even in log-SNR.

    Choose it for solvers of higher order, whose error is of the step in log-SNR; DPM-Solver's paper spaces so.
    """
    return KnownLevels(schedule).ramp(len(schedule), lambda most, least, share: most ** (1 - share) * least**share)
