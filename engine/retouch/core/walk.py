"""The parts of a walk: what predicts, the rule of a step, the trajectory they follow, what is kept of the source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from torch import Tensor

from retouch.core.awaited.requests import Asks
from retouch.core.declared.storable import storable
from retouch.core.declared.touches import Touch, holds_a_step
from retouch.core.schedule import Level, Prediction, Schedule, Step
from retouch.core.values import AttentionMaps, Prompt


class Predict(Protocol):
    """Guidance, model and prompt already bound; a rule may override the prompts it owns."""

    def __call__(
        self, x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
    ) -> Asks[Prediction]:
        """What the guided model says of x [C, h, w] at this level."""
        ...


class Asking(Protocol):
    """Whatever answers like a denoiser: the model itself, a tuned one, or one that remembers."""

    def __call__(
        self,
        x: Tensor,
        level: Level,
        prompt: Prompt,
        *,
        timestep: float | None = None,
        role: str = "cond",
        told: Mapping[str, float] | None = None,
    ) -> Asks[Prediction]:
        """What the network says of x at this level under this prompt, told these numbers besides."""
        ...


Guidance = Callable[[Asking, Tensor, Level, Prompt, Prompt], Asks[Prediction]]
"""async (model, x [C, h, w], level, prompt, negative) -> Prediction"""


class Rule(Protocol):
    """How one step is taken.  State: [k, C, h, w], k latents that move together; state[0] is the image's."""

    def begin(self, x: Tensor) -> Tensor:
        """The state that stands for one latent.  [C, h, w] -> [k, C, h, w]"""
        ...

    def __call__(self, state: Tensor, step: Step, predict: Predict) -> Awaitable[Tensor]:
        """The state one step cleaner.  [k, C, h, w] -> [k, C, h, w]"""
        ...


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """States that replay the source, and the rule that walks them.

    states: Tensor  # [N + 1, k, C, h, w], noisiest first
    pinned: True where the source branch is put back onto `states` at every step, False where it walks by itself and may
        drift, None where it walks only if an attention control or a recording sees it, and is replayed for a blend
    certificate: what requirements measured of it, by metric and with its unit
    start: the state that an edit begins with where that is not the source's, states[0]  # [k, C, h, w]
    again: makes the same by other noise, of the attempt of this number; None where no noise was drawn
    """

    schedule: Schedule
    states: Tensor
    rule: Rule
    pinned: bool | None = False
    certificate: Mapping[str, str] = field(default_factory=dict)
    start: Tensor | None = None
    again: Callable[[int], Trajectory] | None = None

    def certified(self, metric: str, value: str) -> Trajectory:
        """The same, with one more figure in its certificate."""
        return replace(self, certificate={**self.certificate, metric: value})

    def __post_init__(self) -> None:
        if self.states.ndim != 5 or len(self.states) != len(self.schedule) + 1:
            raise ValueError(
                f"a trajectory over {len(self.schedule)} steps has states [{len(self.schedule) + 1}, k, C, h, w], "
                f"and these are {list(self.states.shape)}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """What is kept of the source after each step.

    apply: (state, source state at the same level, step, maps recorded so far) -> state; states are [k, C, h, w]
    reads: the attention maps it wants recorded, at one scale
    late: whether it is given the source as it was before the step, one level noisier than the state
    start: fraction of the steps that are taken before it is first applied; what it reads is recorded from the first
    """

    apply: Callable[[Tensor, Tensor, Step, AttentionMaps], Tensor]
    reads: Touch | None = None
    late: bool = False
    start: float = 0.0

    def acts_in(self, steps: int) -> bool:
        """Whether it is applied at all in a walk of so many steps."""
        return holds_a_step(self.start, 1.0, steps)
