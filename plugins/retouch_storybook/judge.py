"""The judge: reads from a picture what it shows, so that an edit can be measured.

It is trained apart from every other model and guides none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from retouch.api import bilinear
from retouch_storybook.world import ACCESSORIES, COLORS, SETTINGS, STYLES, SUBJECTS

SIDE = 64  # pixels; pictures of other sizes are brought to it
ATTRIBUTES: Mapping[str, tuple[str | None, ...]] = {
    "subject": SUBJECTS,
    "color": COLORS,
    "setting": SETTINGS,
    "accessory": (None, *ACCESSORIES),
    "style": (None, *STYLES),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture shows, in the words of a `Scene`.

    The color of a pencil sketch is a guess from its grey: brown, red and blue are the same grey.
    """

    subject: str
    color: str
    setting: str
    accessory: str | None
    style: str | None


class JudgeNetwork(nn.Module):
    """Four convolutional blocks, pooled by mean and maximum, and one linear head per attribute."""

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 128)) -> None:
        super().__init__()
        strides = (2, 2, 2, 1)
        inputs = (3, *widths)
        self.body = nn.Sequential(*(_block(*shape) for shape in zip(inputs, widths, strides, strict=False)))
        self.heads = nn.ModuleDict({name: nn.Linear(2 * widths[-1], len(words)) for name, words in ATTRIBUTES.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """[n, 3, 64, 64] in [0, 1] -> for each attribute the logits of its values, [n, values]"""
        features = self.body(pictures * 2 - 1)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        return {name: head(pooled) for name, head in self.heads.items()}


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads pictures in [0, 1]."""

    network: JudgeNetwork

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> list[Reading]:
        """[n, 3, H, W] in [0, 1] -> one reading per picture"""
        logits = self.network(at_side(pictures, SIDE))
        best = {name: scores.argmax(dim=1).tolist() for name, scores in logits.items()}
        words = ([ATTRIBUTES[name][i] for i in column] for name, column in best.items())
        return [Reading(*values) for values in zip(*words, strict=True)]

    @torch.no_grad()
    def certainty(self, pictures: Tensor) -> dict[str, Tensor]:
        """[n, 3, H, W] in [0, 1] -> for each attribute the probability of what is read, [n]"""
        logits = self.network(at_side(pictures, SIDE))
        return {name: scores.softmax(dim=1).amax(dim=1) for name, scores in logits.items()}


def load_judge(folder: Path | None = None, *, device: str = "cpu") -> Judge:
    """Load the judge that ships with the weights, or another one from its folder."""
    folder = folder or Path(__file__).parent / "weights" / "judge"
    config = json.loads((folder / "config.json").read_text())
    network = JudgeNetwork(config["widths"])
    state = load_file(folder / "model.safetensors", device=device)
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return Judge(network.to(device).eval().requires_grad_(False))


def at_side(pictures: Tensor, side: int) -> Tensor:
    """[n, 3, H, W] -> [n, 3, side, side], without aliasing"""
    if pictures.shape[-2:] == (side, side):
        return pictures
    return bilinear(pictures, (side, side), antialias=True)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, 1, 1),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
    )
