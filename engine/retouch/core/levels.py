"""All noise levels of a model, those between its trained ones too: what schedules are made of."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from retouch.core.grid import Grid
from retouch.core.schedule import Level, Schedule


@dataclass(frozen=True, slots=True)
class KnownLevels:
    """The levels that a model knows, told from any walk of it.

    Noise is counted as sigma / alpha, as Karras et al. 2022 and k-diffusion do: 0 at the picture, on Stable Diffusion
    up to 14.6, infinite at pure noise.  Between two trained timesteps the time that the network is told is linear in
    the logarithm of that ratio (k-diffusion's `sigma_to_t`); at a trained one the level is that, bit for bit.
    On flow every level lies on one line, and the time is proportional to sigma.
    """

    of: Schedule
    _logs: tuple[float, ...] = field(init=False, repr=False)  # log(sigma / alpha) by timestep, rising

    def __post_init__(self) -> None:
        if not self.of.steps:
            raise ValueError("a walk of no steps says nothing of its model's levels")
        if not (self.of.trained or self.flow):
            raise ValueError("this model has no list of trained levels, and is no flow")
        object.__setattr__(self, "_logs", tuple(map(_log_ratio, self.of.trained)))

    @property
    def flow(self) -> bool:
        """Whether they lie on a straight line, alpha = 1 - sigma."""
        return self.of.steps[0].noisy.flow

    @property
    def top(self) -> Level:
        """The noisiest: pure noise on flow, and where training ended at it (zero terminal SNR)."""
        return Level(self._most, 0.0, 1.0, flow=True) if self.flow else self._trained(len(self.of.trained) - 1)

    @property
    def end(self) -> Level:
        """Where the model's own walks end: no noise, or the least that was trained."""
        return self.of.steps[-1].clean

    @property
    def span(self) -> tuple[float, float]:
        """The most and the least noise that was trained, as sigma / alpha; pure noise, which has none, is left out."""
        if self.flow:
            return self._most - 1, 1 / (self._most - 1)
        return math.exp(max(each for each in self._logs if each < math.inf)), math.exp(self._logs[0])

    def at(self, timestep: float) -> Level:
        """The level that the network is told of by this time.  Raises ValueError where none was trained there."""
        if self.flow:
            if not 0 <= timestep <= self._most:
                raise ValueError(f"levels of this model lie between 0 and {self._most:g}, and {timestep:g} does not")
            sigma = timestep / self._most
            return Level(timestep, 1 - sigma, sigma, flow=True)
        below, last = math.floor(timestep), len(self.of.trained) - 1
        if not 0 <= timestep <= last:
            raise ValueError(f"levels of this model lie between 0 and {last}, and {timestep:g} does not")
        if below == timestep:
            return self._trained(below)
        low, high, share = self._logs[below], self._logs[below + 1], timestep - below
        if high == math.inf:  # the last step up to pure noise, whose ratio has no end
            alpha = (1 - share) * self._trained(below).alpha
            return Level(timestep, alpha, (1 - alpha**2) ** 0.5)
        return _with_ratio(timestep, math.exp(low + share * (high - low)))

    def noisy(self, ratio: float) -> Level:
        """The level of this sigma / alpha.  Raises ValueError outside of `span`; infinity is pure noise, if trained."""
        if ratio == math.inf and not self.top.alpha:
            return self.top
        high, low = self.span
        # Ends of the span are computed by exp, so they may be a rounding beyond themselves.
        if not low * (1 - 1e-9) <= ratio <= high * (1 + 1e-9):
            raise ValueError(f"this model was trained at noise from {low:.3g} to {high:.5g}, which {ratio:.5g} is not")
        if self.flow:
            return self.at(self._most * ratio / (1 + ratio))
        log = math.log(ratio)
        finite = [each for each in self._logs if each < math.inf]
        # A ratio that was made from a trained level finds that level, though exp and log have rounded.
        above = min(max(bisect_left(finite, log - 1e-12), 0), len(finite) - 1)
        if above == 0 or abs(finite[above] - log) <= 1e-12:
            return self._trained(above)
        share = (log - finite[above - 1]) / (finite[above] - finite[above - 1])
        return _with_ratio(above - 1 + share, ratio)

    def spaced(self, steps: int, spacing: str, offset: int = 0) -> Schedule:
        """A walk on trained timesteps, as diffusers spaces them: "leading" (moved by `offset`), "trailing", "linspace".

        Where the model's own walks end at timestep 0 and this one would end its steps there, it is spaced to it.
        """
        times = Grid(len(self.of.trained), offset, spacing).timesteps(steps)
        if not times[-1] and self.end == self._trained(0):
            times = Grid(len(self.of.trained), offset, spacing).timesteps(steps + 1)[:-1]
        return self.walk(map(self._trained, times))

    def ramp(self, steps: int, curve: Callable[[float, float, float], float]) -> Schedule:
        """A walk through `curve(most, least, share)` of the noise that was trained, for shares from 0 towards 1.

        Pure noise, where it was trained, stands in the place of the first, so that walks begin where sampling does.
        """
        high, low = self.span
        parts = steps if self.end.sigma else steps - 1  # one that ends at the least noise reaches it at the end
        levels = [self.noisy(curve(high, low, i / max(parts, 1))) for i in range(steps)]
        return self.walk([self.top, *levels[1:]] if not self.top.alpha else levels)

    def walk(self, levels: Iterable[Level]) -> Schedule:
        """A walk through these, noisiest first, that ends where the model's own do.

        Raises ValueError where one is not cleaner than the one before.
        """
        path = [*levels]
        if path and path[-1].sigma * self.end.alpha > self.end.sigma * path[-1].alpha:
            path.append(self.end)
        for noisy, clean in pairwise(path):
            if not noisy.sigma * clean.alpha > clean.sigma * noisy.alpha:
                raise ValueError(f"a walk goes down in noise, and {clean.timestep:g} comes after {noisy.timestep:g}")
        return replace(Schedule.through(path), trained=self.of.trained)

    @property
    def _most(self) -> float:
        """The time at pure noise, on flow."""
        first = self.of.steps[0].noisy
        # The time is sigma times a number of the config; this takes the rounding away that is left in the quotient.
        return round(first.timestep / first.sigma, 6)

    def _trained(self, timestep: int) -> Level:
        kept = self.of.trained[timestep]
        return Level(timestep, kept**0.5, (1 - kept) ** 0.5)


def _with_ratio(timestep: float, ratio: float) -> Level:
    alpha = (1 + ratio**2) ** -0.5
    return Level(timestep, alpha, ratio * alpha)


def _log_ratio(kept: float) -> float:
    """log(sigma / alpha) of alphas_cumprod."""
    return math.log((1 - kept) / kept) / 2 if kept else math.inf
