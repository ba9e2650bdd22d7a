"""Networks of a plugin's own, filled with a file of weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from retouch.models.own_weights import OwnWeights


class Counting(nn.Module):
    """Adds places to what it is given; these are no weights, so that no file has them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("places", torch.arange(3.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.places


def test_what_no_file_stores_has_its_numbers(tmp_path: Path) -> None:
    save_file({"scale": torch.full((1,), 2.0)}, tmp_path / "counting.safetensors")
    own = OwnWeights({"counting": tmp_path / "counting.safetensors"}, torch.device("cpu"), torch.float32)
    assert own.network("counting", Counting)(torch.ones(1, 3)).tolist() == [[2.0, 3.0, 4.0]]
