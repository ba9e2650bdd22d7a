"""Which of the trained timesteps a walk visits, as diffusers' DDIMScheduler picks them; no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """The timesteps that a model was trained at, and how a sampler spreads its steps over them.

    offset, spacing: steps_offset and timestep_spacing of the scheduler's configuration.
    """

    trained: int
    offset: int = 1
    spacing: str = "leading"

    def timesteps(self, steps: int) -> list[int]:
        """Timesteps of a walk, noisiest first.  Raises ValueError where they would leave those that were trained."""
        if not self.fits(steps):
            raise ValueError(f"{steps} steps do not fit a model trained on {self.trained}; take {self.most(steps)}")
        return self._spread(steps)

    def fits(self, steps: int) -> bool:
        """Whether the model has a level for each of so many steps."""
        return 1 <= steps <= self.trained and self._spread(steps)[0] < self.trained

    def most(self, steps: int) -> int:
        """The most steps up to so many that fit; at least 1."""
        return next((fewer for fewer in range(min(steps, self.trained), 1, -1) if self.fits(fewer)), 1)

    def _spread(self, steps: int) -> list[int]:
        match self.spacing:
            case "leading":
                return [i * (self.trained // steps) + self.offset for i in reversed(range(steps))]
            case "trailing":
                return [round(self.trained - i * self.trained / steps) - 1 for i in range(steps)]
            case "linspace":
                return [round((self.trained - 1) * i / max(steps - 1, 1)) for i in reversed(range(steps))]
        raise ValueError(f"timestep spacing '{self.spacing}' is not known; use leading, trailing or linspace")
