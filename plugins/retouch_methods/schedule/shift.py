"""KnownLevels of a flow, moved towards noise.  Esser et al. 2024, arXiv:2403.03206, section 5.3.2."""

from __future__ import annotations

from typing import Annotated

from retouch.api import KnownLevels, Range, Schedule, stage


@stage("schedule", "shift", paper="arXiv:2403.03206", predicts=("flow",), instead="schedule trailing")
def shift(schedule: Schedule, *, by: Annotated[float, Range(0.01, 100)] = 3.0) -> Schedule:
    """Space the steps of a flow evenly, then move them towards noise, in place of the model's own shift.

    by: 1 leaves them even; above, more of the steps are at much noise, as larger pictures need.
    """
    levels, steps = KnownLevels(schedule), len(schedule)
    even = (1 - i / steps for i in range(steps))
    # by·s / (1 + (by - 1)·s), written so that all noise stays just that: rounding would else leave the known levels.
    return levels.walk(levels.at(levels.top.timestep * (by * s / (by * s + (1 - s)))) for s in even)
