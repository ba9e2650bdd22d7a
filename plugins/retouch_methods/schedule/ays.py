"""Align Your Steps: levels that were optimised for Stable Diffusion.  Sabour et al. 2024, arXiv:2404.14507.

The numbers are those that the authors published with the paper, ten steps each as sigma / alpha; for other numbers of
steps they are interpolated in their logarithm, as the authors say.
"""

from __future__ import annotations

import math
from typing import Literal

from retouch.api import KnownLevels, Schedule, stage

TABLES = {
    "sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}


@stage("schedule", "ays", paper="arXiv:2404.14507", predicts=("epsilon", "v_prediction"), instead="schedule shift")
def ays(schedule: Schedule, *, table: Literal["sd1", "sdxl"] = "sd1") -> Schedule:
    """Visit the levels that cost Stable Diffusion least at ten steps.

    On a model of other noise levels it is only a shape: it begins at the model's own noisiest level that the table
    reaches, and keeps off those beyond.

    table: of which model; Stable Diffusion XL takes its own by itself.
    """
    levels, steps, known = KnownLevels(schedule), len(schedule), TABLES[table]
    high, low = levels.span
    walk = [levels.noisy(min(max(_between(known, i / steps), low), high)) for i in range(steps)]
    return levels.walk([levels.top, *walk[1:]] if not levels.top.alpha else walk)


def _between(known: tuple[float, ...], share: float) -> float:
    """The table's noise at a share of its way, linear in the logarithm between its entries."""
    place = share * (len(known) - 1)
    before = min(int(place), len(known) - 2)
    # As the authors make more or fewer steps of their ten.
    low, high = math.log(known[before]), math.log(known[before + 1])
    return math.exp(low + (place - before) * (high - low))
