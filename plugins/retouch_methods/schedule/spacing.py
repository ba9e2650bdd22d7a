"""Even spacing on the trained timesteps, in three ways.  Lin et al. 2023, arXiv:2305.08891, table 2.

A model's own schedule is one of them, as its scheduler_config.json says.
"""

from __future__ import annotations

from typing import Annotated

from retouch.api import KnownLevels, Range, Schedule, stage


@stage("schedule", "leading", paper="arXiv:2305.08891", predicts=("epsilon", "v_prediction"), instead="schedule shift")
def leading(schedule: Schedule, *, offset: Annotated[int, Range(0, 1, "timesteps")] = 1) -> Schedule:
    """Begin each equal part of the timesteps, so that the noisiest levels are left out.

    offset: how many timesteps to move up; Stable Diffusion is sampled at 1.
    """
    return KnownLevels(schedule).spaced(len(schedule), "leading", offset)


@stage("schedule", "trailing", paper="arXiv:2305.08891", predicts=("epsilon", "v_prediction"), instead="schedule shift")
def trailing(schedule: Schedule) -> Schedule:
    """End each equal part of the timesteps, so that the walk begins at the noisiest level.

    Choose it at few steps, and on models that were trained up to pure noise.
    """
    return KnownLevels(schedule).spaced(len(schedule), "trailing")


@stage("schedule", "linspace", paper="arXiv:2305.08891", predicts=("epsilon", "v_prediction"), instead="schedule shift")
def linspace(schedule: Schedule) -> Schedule:
    """Space the steps from the noisiest timestep to the first, both visited."""
    return KnownLevels(schedule).spaced(len(schedule), "linspace")
