"""A training of eight steps that takes no time: a network of three small matrices, and a clock of its own."""

from itertools import count

import torch
from torch import Tensor, nn

from retouch_storybook.train.loop import Training, TrainingSettings

STEPS = 8


class Line:
    """A tiny part: a matrix for Muon, and a first layer and biases for AdamW."""

    def __init__(self) -> None:
        self.settings = TrainingSettings(adam=1e-2, muon=1e-2, matrix=4, seed=7)
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 1))

    def is_plain(self, name: str) -> bool:
        return name == "0.weight"

    def loss(self, draws: torch.Generator) -> Tensor:
        x = torch.randn(16, 2, generator=draws)
        return (self.network(x)[:, 0] - x.prod(dim=1)).square().mean()


def training() -> Training:
    """One step a second, for eight seconds."""
    ticks = count()
    made = Training(Line(), minutes=STEPS / 60)
    made.clock = lambda: made.spent + (1.0 if next(ticks) else 0.0)
    return made
