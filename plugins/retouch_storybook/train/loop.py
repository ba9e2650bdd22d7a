"""The loop that trains every part: a budget of time, an average of the weights, a state that can be resumed."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from retouch_storybook.train import checkpoint
from retouch_storybook.train.muon import Muon, foreach

WARM_UP = 100  # steps
INTERRUPTED = 130  # the exit code of what Ctrl-C has stopped


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a part is trained."""

    adam: float  # learning rate of AdamW
    muon: float  # learning rate of Muon
    hold: float = 0.45  # share of the budget before the learning rate falls to zero
    average: float = 0.999  # decay of the exponential moving average of the weights
    matrix: int = 24  # the least side of a matrix that Muon moves
    seed: int = 0
    bfloat16: bool = False  # on a CPU with instructions for it, as on every GPU; large convolutions gain by half


class Part(Protocol):
    """What the loop needs to know of a part."""

    settings: TrainingSettings
    network: nn.Module

    def is_plain(self, name: str) -> bool:
        """Whether a matrix is left to AdamW: embeddings, the first and the last layer."""
        ...

    def loss(self, draws: torch.Generator) -> Tensor:
        """The loss of one batch, which the draws decide."""
        ...


class Training:
    """A part being trained, at some step; the same seed, steps and clock give the same weights, resumed or not."""

    def __init__(self, part: Part, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.part, self.budget, self.clock = part, 60 * minutes, clock
        self.step, self.spent = 0, 0.0  # spent: seconds
        self.weights = {name: p for name, p in part.network.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.weights.items()}
        self.optimizers = optimizers_of(part, self.weights)

    def run(
        self, folder: Path, stopped: Callable[[], bool] = lambda: False, *, keep_every: float = 240.0
    ) -> Iterator[tuple[int, float, Tensor]]:
        """Train until the budget is spent or somebody says stop; keep the state every so many seconds and at the end.

        Yields the step, the seconds spent and the loss, which stays on its device: only reading it waits for a GPU.
        """
        began, saved = self.clock() - self.spent, self.spent
        while self.spent < self.budget and not stopped():
            loss = self.advance()
            self.spent = self.clock() - began
            if self.spent - saved > keep_every:
                self.save(folder)
                saved = self.spent
            yield self.step, self.spent, loss
        self.save(folder)

    def advance(self) -> Tensor:
        """Take one step, and give its loss."""
        pace = self.pace()
        for optimizer, rate in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * pace
            optimizer.zero_grad(set_to_none=True)
        device = next(iter(self.weights.values())).device.type
        # On a CPU without instructions for it bfloat16 is slower than float32.
        fast = device == "cuda" or (self.part.settings.bfloat16 and torch.cpu._is_avx512_bf16_supported())
        with torch.autocast(device, torch.bfloat16, enabled=fast):
            loss = self.part.loss(draws(self.part.settings.seed, self.step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        for optimizer, _ in self.optimizers.values():
            optimizer.step()
        self._follow()
        self.step += 1
        return loss.detach()

    def pace(self) -> float:
        """The share of the learning rate: it rises, holds, and falls to zero as the budget is spent."""
        progress, hold = min(1.0, self.spent / self.budget), self.part.settings.hold
        return min(1.0, (self.step + 1) / WARM_UP) * min(1.0, max(0.01, (1 - progress) / (1 - hold)))

    def save(self, folder: Path) -> None:
        """Keep all that the next step depends on."""
        tensors = {f"weights {name}": p.detach() for name, p in self.weights.items()}
        tensors |= {f"average {name}": p for name, p in self.average.items()}
        for kind, (optimizer, _) in self.optimizers.items():
            tensors |= {
                f"{kind} {key} {name}": value
                for name, p in self.weights.items()
                for key, value in optimizer.state.get(p, {}).items()
            }
        checkpoint.save(folder, tensors, {"step": self.step, "spent": self.spent})

    def resume(self, folder: Path) -> bool:
        """Go on from the state kept in a folder, if there is one."""
        device = next(iter(self.weights.values())).device
        kept = checkpoint.load(folder, str(device))
        if kept is None:
            return False
        tensors, numbers = kept
        self.step, self.spent = numbers["step"], numbers["spent"]
        for key, tensor in tensors.items():
            self._restore(key.split(" "), tensor)
        return True

    def finish(self) -> None:
        """Give the network its averaged weights."""
        for name, weight in self.weights.items():
            weight.data.copy_(self.average[name])

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.part.settings.average, (1 + self.step) / (10 + self.step))
        foreach._foreach_lerp_(list(self.average.values()), list(self.weights.values()), 1 - decay)

    @torch.no_grad()
    def _restore(self, key: list[str], tensor: Tensor) -> None:
        match key:
            case ["weights", name]:
                self.weights[name].copy_(tensor)
            case ["average", name]:
                self.average[name].copy_(tensor)
            case [kind, entry, name]:
                optimizer, _ = self.optimizers[kind]
                optimizer.state[self.weights[name]][entry] = tensor.cpu() if entry == "step" else tensor
            case _:
                raise ValueError(f"this is no training state: it has '{' '.join(key)}'")


def train(training: Training, weights: Path, name: str, state: Path, *, report_every: int, keep_every: float) -> int:
    """Train to the end of the budget, write weights and figures; or stop at Ctrl-C, which is heard between two steps.

    Returns the exit code of the command.
    """
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mean = None
    for step, spent, loss in training.run(state, lambda: bool(heard), keep_every=keep_every):
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if step % report_every == 0:  # reading the loss waits for the device, so it is read this seldom
            print(f"step {step}, {spent / 60:.1f} min, loss {mean:.4f}", flush=True)
    signal.signal(signal.SIGINT, before)
    if heard:
        print(f"stopped at step {training.step}; go on with --resume")
        return INTERRUPTED
    training.finish()
    part: Any = training.part
    part.export()
    figures = json.dumps({"steps": training.step, **part.measure()}, indent=2)
    (weights / f"{name}.figures.json").write_text(figures + "\n")
    print(figures)
    return 0


def draws(seed: int, step: int) -> torch.Generator:
    """The random draws of one step: they depend on nothing before it."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def optimizers_of(
    part: Part,
    weights: Mapping[str, nn.Parameter],
    muon: Callable[..., torch.optim.Optimizer] = Muon,
    adam: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
) -> dict[str, tuple[torch.optim.Optimizer, float]]:
    """Muon for the weight matrices and AdamW for the rest, each with its learning rate."""
    settings = part.settings
    # Muon is for matrices alone; what is narrow, or reads and writes the network's ends, takes Adam.
    matrices = [
        p
        for name, p in weights.items()
        if p.ndim >= 2 and min(p.flatten(1).shape) >= settings.matrix and not part.is_plain(name)
    ]
    known = {id(p) for p in matrices}
    rest = [p for p in weights.values() if id(p) not in known]
    other = adam(rest, settings.adam, betas=(0.9, 0.99), weight_decay=0.001)
    optimizers: dict[str, tuple[torch.optim.Optimizer, float]] = {"adam": (other, settings.adam)}
    if matrices:
        optimizers["muon"] = muon(matrices, settings.muon), settings.muon
    return optimizers
