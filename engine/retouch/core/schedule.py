"""Noise levels: x = alpha * x0 + sigma * eps, for VP diffusion and rectified flow alike.

Here alpha is sqrt(alphas_cumprod) and sigma is sqrt(1 - alphas_cumprod); for flow, alpha = 1 - s and sigma = s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from retouch.core.declared.storable import storable
from retouch.core.grid import Grid

PredictionKind = Literal["epsilon", "v_prediction", "flow"]


class Prediction:
    """Both halves of x = alpha * x0 + sigma * eps, kept in one tensor so that guidance is one kernel.

    pair: Tensor  # [2, C, h, w]: x0, then eps
    """

    __slots__ = ("pair",)

    def __init__(self, pair: Tensor) -> None:
        self.pair = pair

    @property
    def x0(self) -> Tensor:
        """The clean latent that is predicted.  [C, h, w]"""
        return self.pair[0]

    @property
    def eps(self) -> Tensor:
        """The noise that is predicted.  [C, h, w]"""
        return self.pair[1]

    @property
    def velocity(self) -> Tensor:
        """eps - x0: on flow, what the network says.  [C, h, w]"""
        return self.pair[1] - self.pair[0]

    def toward(self, other: Prediction, scale: float) -> Prediction:
        """self + scale * (other - self): the affine step that guidance is made of."""
        return Prediction(torch.lerp(self.pair, other.pair, scale))


@storable
@dataclass(frozen=True, slots=True)
class Level:
    """One noise level; `timestep` is what the network is told.

    progress: the share of its walk's steps that lie before it: 0 where the walk begins, 1 at the image.  Every window
        (of a control, a guidance, a blend) is of this; a walk that begins late has it all the same from 0 to 1.
    clean: the level that its walk goes to from here; None at the end of one, and outside of any.
    """

    timestep: float
    alpha: float
    sigma: float
    flow: bool = False  # whether alpha = 1 - sigma, a straight line on which the network predicts the velocity
    progress: float = field(default=0.0, compare=False)
    clean: Level | None = field(default=None, compare=False, repr=False)

    def within(self, progress: float, clean: Level | None = None) -> Level:
        """The same level in a walk; each step of an inversion is one, and `replace` would take as long as its row."""
        return Level(self.timestep, self.alpha, self.sigma, self.flow, progress, clean)

    def variance_from(self, noisy: Level) -> float:
        """The variance of q(this | noisy, x0): of the new noise of a DDPM step that comes here from there."""
        kept = noisy.alpha / self.alpha * self.sigma
        return (self.sigma / noisy.sigma) ** 2 * max(noisy.sigma**2 - kept**2, 0.0)

    def mix(self, x0: Tensor, eps: Tensor) -> Tensor:
        """alpha * x0 + sigma * eps: adds noise, and is the DDIM step, and Euler's on flow.  All [C, h, w]"""
        return torch.add(self.alpha * x0, eps, alpha=self.sigma)

    def denoised(self, x: Tensor, eps: Tensor) -> Tensor:
        """The x0 that x hides, if eps is its noise.  Needs alpha > 0.  All [C, h, w]"""
        return torch.sub(x, eps, alpha=self.sigma) / self.alpha

    def seen_as(self, x: Tensor, eps: Tensor) -> Prediction:
        """The prediction that x, at this level, hides this eps.  Raises ValueError at pure noise, which hides any.

        x, eps: Tensor  # [C, h, w]
        """
        if not self.alpha:
            raise ValueError(
                "at pure noise a prediction of the noise says nothing of the picture; begin lower, with strength=0.95"
            )
        return Prediction(torch.stack((self.denoised(x, eps), eps)))

    def along(self, x: Tensor, velocity: Tensor) -> Prediction:
        """The prediction that x, at this level of a flow, moves with this velocity.  All [C, h, w]"""
        return Prediction(torch.stack((x - self.sigma * velocity, x + self.alpha * velocity)))

    def said(self, pred: Prediction) -> Tensor:
        """What the network says at this level: the space in which guidance adds up and inversions pull.  [C, h, w]

        It is the noise, or on flow the velocity.  At pure noise that is no flow (zero terminal SNR) the noise is x
        itself, and all that is said is -x0.
        """
        if self.flow:
            return pred.velocity
        return pred.eps if self.alpha else -pred.x0

    def output(self, kind: PredictionKind, pred: Prediction) -> Tensor:
        """What a network of this kind puts out where it predicts that: what it is trained on.  [C, h, w]"""
        match kind:
            case "epsilon":
                return pred.eps
            case "v_prediction":
                return torch.sub(self.alpha * pred.eps, pred.x0, alpha=self.sigma)
            case "flow":
                return pred.velocity

    def heard(self, x: Tensor, said: Tensor) -> Prediction:
        """The prediction for x that says so: the inverse of `said`.  All [C, h, w]"""
        if self.flow:
            return self.along(x, said)
        return self.seen_as(x, said) if self.alpha else Prediction(torch.stack((-said, x)))


def split(kind: PredictionKind, x: Tensor, out: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Raw network outputs to (x0, eps), once for a whole batch.  [B, C, h, w] twice -> [B, 2, C, h, w]

    alpha, sigma: Tensor  # [B, 1, 1, 1]
    """
    match kind:
        case "epsilon":
            return torch.stack(((x - sigma * out) / alpha, out), 1)
        case "v_prediction":
            return torch.stack((alpha * x - sigma * out, alpha * out + sigma * x), 1)
        case "flow":
            return torch.stack((x - sigma * out, x + alpha * out), 1)


@storable
@dataclass(frozen=True, slots=True)
class Step:
    """One step of a walk, from `noisy` to `clean`."""

    index: int  # in this walk; what an inversion recorded per step is indexed by it
    noisy: Level
    clean: Level
    before: Level | None = None  # where the walk came from; multistep rules read it

    @property
    def progress(self) -> float:
        """The share of the walk's steps that were taken before this one: index / steps."""
        return self.noisy.progress

    def fresh(self, eta: float) -> float:
        """Standard deviation of the new noise (Song et al. 2021, eq. 16): eta times that of q(clean | noisy, x0)."""
        kept = self.noisy.alpha / self.clean.alpha * self.clean.sigma
        missing = max(self.noisy.sigma**2 - kept**2, 0.0) ** 0.5
        return eta * self.clean.sigma / self.noisy.sigma * missing

    def mean(self, x0: Tensor, eps: Tensor, eta: float = 0.0) -> Tensor:
        """The step without its new noise (Song et al. 2021, eq. 12).  All [C, h, w]"""
        kept = max(self.clean.sigma**2 - self.fresh(eta) ** 2, 0.0) ** 0.5  # rounding may go below 0
        return torch.add(self.clean.alpha * x0, eps, alpha=kept)

    def carry(self, x: Tensor, pred: Prediction) -> Tensor:
        """x moved from noisy to clean along what may have been seen elsewhere (`Level.said`).  All [C, h, w]"""
        if self.noisy.flow:
            return torch.add(x, pred.velocity, alpha=self.clean.sigma - self.noisy.sigma)
        if not self.noisy.alpha:
            return self.clean.mix(pred.x0, x)
        return self.clean.mix(self.noisy.denoised(x, pred.eps), pred.eps)

    def uncarry(self, x: Tensor, pred: Prediction) -> Tensor:
        """x moved from clean to noisy: the inverse of `carry`.  All [C, h, w]"""
        if self.noisy.flow:
            return torch.add(x, pred.velocity, alpha=self.noisy.sigma - self.clean.sigma)
        if not self.noisy.alpha:
            return torch.sub(x, pred.x0, alpha=self.clean.alpha) / self.clean.sigma
        return self.noisy.mix(self.clean.denoised(x, pred.eps), pred.eps)


@storable
@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of a walk, noisiest first; immutable, and shared by all images.

    trained: alphas_cumprod by timestep, of all levels that the model was trained at; empty where there is no such list
    """

    steps: tuple[Step, ...]
    trained: tuple[float, ...] = field(default=(), compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def ascending(self) -> Iterator[Step]:
        """From the image to noise: the same steps, last first."""
        return reversed(self.steps)

    @property
    def levels(self) -> list[Level]:
        """All levels, noisiest first: one more than there are steps."""
        return [step.noisy for step in self.steps] + [self.steps[-1].clean]

    def tail(self, strength: float) -> Schedule:
        """A walk of the last `strength` (0 to 1) of the steps: index and progress count from where it begins."""
        # 0.58 of 50 steps is 28.999999999999996, and 29 are meant.
        levels = self.levels[len(self) - int(len(self) * strength + 1e-9) :]
        return replace(Schedule.through(levels), trained=self.trained)

    def divided(self, parts: int) -> list[Schedule]:
        """Each step as a walk of so many, even in timesteps, or of fewer where the model was not trained at more.

        Raises ValueError where `parts` is above 1 and nothing is known of the levels between.
        """
        if parts > 1 and not self.trained:
            raise ValueError("this model has no list of trained levels, so its steps cannot be divided")
        walks: list[Schedule] = []
        for step in self:
            high, low = step.noisy.timestep, step.clean.timestep
            # On few trained levels two of these round to one, or to an end of the step.
            between = {round(high + (low - high) * part / parts) for part in range(1, parts)}
            inner = [_level(self.trained, t) for t in sorted(between, reverse=True) if low < t < high]
            walks.append(Schedule.through([step.noisy, *inner, step.clean]))
        return walks

    def at(self, strength: float) -> Level:
        """The level that a walk of this strength (0 to 1) begins at."""
        tail = self.tail(strength)
        return tail.steps[0].noisy if tail.steps else self.steps[-1].clean

    @staticmethod
    def through(levels: Sequence[Level]) -> Schedule:
        """A walk through these levels, in their order; RePaint's jumps go up on the way."""
        n = len(levels) - 1
        walk = [level.within(i / max(n, 1)) for i, level in enumerate(levels)]
        # Each knows the next one and no further: a chain of a thousand levels could be neither copied nor sent.
        walk = [level.within(level.progress, after) for level, after in zip(walk, [*walk[1:], None], strict=True)]
        return Schedule(tuple(Step(i, walk[i], walk[i + 1], walk[i - 1] if i else None) for i in range(n)))

    @staticmethod
    def ddim(
        alphas_cumprod: Sequence[float], steps: int, *, offset: int = 1, to_one: bool = False, spacing: str = "leading"
    ) -> Schedule:
        """The grid of diffusers' DDIMScheduler over a trained schedule.

        offset, to_one, spacing: steps_offset, set_alpha_to_one and timestep_spacing of its configuration.
        Raises ValueError where the grid would leave the trained timesteps.
        """
        timesteps = Grid(len(alphas_cumprod), offset, spacing).timesteps(steps)
        last = Level(0, 1.0, 0.0) if to_one else _level(alphas_cumprod, 0)
        walk = Schedule.through([*(_level(alphas_cumprod, t) for t in timesteps), last])
        return replace(walk, trained=tuple(alphas_cumprod))

    @staticmethod
    def flow(steps: int) -> Schedule:
        """Rectified flow with even spacing: alpha = 1 - s, sigma = s, s from 1 to 0."""
        levels = [Level(1000 * (1 - i / steps), i / steps, 1 - i / steps, flow=True) for i in range(steps + 1)]
        return Schedule.through(levels)


def _level(alphas_cumprod: Sequence[float], t: int) -> Level:
    kept = alphas_cumprod[t]
    return Level(t, kept**0.5, (1 - kept) ** 0.5)
