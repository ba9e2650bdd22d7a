"""KnownLevels that a recipe lists."""

from __future__ import annotations

from typing import Annotated

from retouch.api import KnownLevels, Need, Range, Schedule, stage


@stage(
    "schedule",
    "levels",
    facts={"steps": "len(at)"},
    needs=(
        Need("len(at) > 0", "visits no level", "write at=[999, 600, 300, 100]"),
        Need("falls(at)", "goes up on its way", "write its levels from the noisiest down"),
        Need(
            "trained == 0 or len(at) == 0 or max(at) <= trained - 1",
            "visits a level that this model was not trained at; its own are 0 to {trained - 1}",
            "write levels up to {trained - 1}",
        ),
    ),
)
def levels(schedule: Schedule, *, at: tuple[Annotated[float, Range(0, 1000, "timesteps")], ...]) -> Schedule:
    """Visit the levels that are listed, and then the end of the model's own walks: as many steps as there are levels.

    at: timesteps, noisiest first, as the network is told them: up to 999 on diffusion, up to 1000 on flow, and between
        trained ones too.
    """
    known = KnownLevels(schedule)
    return known.walk(map(known.at, at))
