"""Section `codec`: the VAE both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from retouch.api.kit import prepare
from retouch.api.running import Settings
from retouch_bench.speed.budget import Budget
from retouch_bench.speed.setting import Setting, name_of
from retouch_bench.speed.timing import timing

BATCHES = (4, 1, 8)


def codec(setting: Setting, budget: Budget) -> None:
    """Pictures a second through the engine's codec, encoded and decoded."""
    device, shape = setting.device, setting.shape
    made = shape.codec(device, setting.dtype)
    prepare(made.vae, Settings(device.type, name_of(setting.dtype)).acceleration)  # as a run does
    ways: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
        "encode": (made.encode, (3, shape.side, shape.side)),
        "decode": (made.decode, shape.latent),
    }
    for batch in (1,) if setting.toy else BATCHES:
        for way, (function, size) in ways.items():

            def measure(
                function: Callable[[Tensor], Tensor] = function,
                size: tuple[int, ...] = size,
                way: str = way,
                batch: int = batch,
            ) -> Mapping[str, Any]:
                budget.need(1)
                items = torch.rand(batch, *size, device=device)
                with torch.no_grad():
                    each = timing(lambda: function(items), device, setting.repeat).each
                return {
                    "pictures_a_second": batch / each,
                    "ms_a_picture": each / batch * 1e3,
                    "of_floor": setting.of_floor(setting.floor(way, batch), each),
                }

            setting.report.attempt("codec", {"way": way, "batch": batch}, measure)
