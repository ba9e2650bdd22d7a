"""What the parts share: folders, device, drawings."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from retouch_storybook.train.drawings import Drawings, held_out_drawings, training_drawings


@dataclass(frozen=True, slots=True)
class Workspace:
    """One training folder: drawings and states in it are reused by later calls."""

    folder: Path
    base: Path  # weights that parts begin with, and whose VAE and tokenizer they use
    size: int  # pixels
    drawings: int  # to train on
    device: str
    fresh: bool = False  # whether a part begins with random weights

    @property
    def weights(self) -> Path:
        """Where trained parts are written."""
        return self.folder / "weights"

    @property
    def on_gpu(self) -> bool:
        """Whether batches may be large."""
        return self.device == "cuda"

    def state(self, part: str) -> Path:
        """Where the training state of a part is kept."""
        return self.folder / "state" / f"{part}_{self.size}"

    def training(self) -> Drawings:
        """Drawings to train on."""
        return training_drawings(self.folder / "drawings", self.size, self.drawings).to(self.device)

    def held_out(self) -> Drawings:
        """Drawings to measure on."""
        return held_out_drawings(self.folder / "drawings", self.size).to(self.device)

    def part_of(self, name: str) -> Path:
        """The weights folder that has a part: what was trained here, else the base."""
        return self.weights if (self.weights / name).is_dir() else self.base

    def begins_anew(self, name: str) -> bool:
        """Whether a part has nothing to go on from."""
        return self.fresh or not (self.part_of(name) / name).is_dir()


def pick(count: int, batch: int, draws: torch.Generator) -> Tensor:
    """Draw a batch of indices."""
    return torch.randint(count, (batch,), generator=draws)
