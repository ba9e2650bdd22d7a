"""A schedule: which noise levels a walk visits."""

from typing import Annotated

from retouch.api import KnownLevels, Range, Schedule, hookimpl, stage


@stage("schedule", "newcomer", predicts=("epsilon", "v_prediction"), instead="schedule shift")
def newcomer(schedule: Schedule, *, bend: Annotated[float, Range(0.1, 10)] = 1.5) -> Schedule:
    """Space the steps in the logarithm of the noise, sigma / alpha, closer to one of its ends.

    bend: 1 is even; above, more of the steps are at much noise, where layout is decided; below, at little.
    """

    def curve(most: float, least: float, share: float) -> float:
        return most * (least / most) ** share**bend

    return KnownLevels(schedule).ramp(len(schedule), curve)  # as many steps as the recipe asks for


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
