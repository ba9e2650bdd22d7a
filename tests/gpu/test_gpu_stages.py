"""Every built-in stage gives on the device what it gives in float64 on the CPU, but for rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from retouch.plugins import registry
from retouch.plugins.discovery import Plugin
from tests.gpu.cases import CONTINUOUS, DECIDING
from tests.gpu.device import DEVICE, DTYPES, far, world
from tests.gpu.later_cases import LATER, has_a_place

NEAR = {**CONTINUOUS, **LATER}
pytestmark = pytest.mark.gpu
ON_THE_CPU = {"save", "sheet", "measure", "require"}  # families whose results are files or figures
ROUNDING = {torch.float32: 1e-4, torch.float16: 0.03, torch.bfloat16: 0.16}
SENSITIVE = {"mask attention": 3}  # small differences between maps, stretched over the whole range
AGREED = {torch.float32: 0.99, torch.float16: 0.95, torch.bfloat16: 0.8}
CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NEAR)
def test_a_stage_gives_what_it_gives_in_float64_but_for_rounding(name, dtype, tmp_path):
    found, wanted = both(NEAR, name, dtype, tmp_path)
    missed = [far(here, there) for here, there in zip(found, wanted, strict=True)]
    print(f"{name}, {dtype}: {max(missed):.2g}")
    assert max(missed) <= ROUNDING[dtype] * SENSITIVE.get(name, 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", DECIDING)
def test_a_stage_that_decides_decides_nearly_everywhere_as_in_float64(name, dtype, tmp_path):
    found, wanted = both(DECIDING, name, dtype, tmp_path)
    agreed = [agreement(here, there, ROUNDING[dtype]) for here, there in zip(found, wanted, strict=True)]
    print(f"{name}, {dtype}: {min(agreed):.1%}")
    assert min(agreed) >= AGREED[dtype]


def test_no_built_in_stage_is_missing_here():
    """Each has a case, or a reason for none."""
    cards = registry.load([Plugin("retouch_methods", "retouch_methods")]).cards
    names, told = {card.name for card in cards}, frozenset({**CONTINUOUS, **LATER, **DECIDING})
    assert told - names == set()
    assert {name for name in names if not has_a_place(name, told)} == set()


def both(
    cases: dict[str, Callable[..., Sequence[Tensor]]], name: str, dtype: torch.dtype, folder: Path
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """What a case gives on the device in this precision, and in float64 on the CPU."""
    found = cases[name](world(dtype), folder)
    for tensor in found:
        assert torch.isfinite(tensor).all()
        assert tensor.device.type == (CPU if name.split(maxsplit=1)[0] in ON_THE_CPU else DEVICE).type
    return found, in_float64(cases, name, folder)


_wanted: dict[tuple[int, str], Sequence[Tensor]] = {}


def in_float64(cases: dict[str, Callable[..., Sequence[Tensor]]], name: str, folder: Path) -> Sequence[Tensor]:
    """Once for all precisions."""
    key = id(cases), name
    if key not in _wanted:
        _wanted[key] = cases[name](world(torch.float64, CPU), folder)
    return _wanted[key]


def agreement(found: Tensor, wanted: Tensor, rounding: float) -> float:
    """The share of values that are no further apart than rounding."""
    gap = (found.double().cpu() - wanted.double().cpu()).abs()
    return float((gap <= rounding * wanted.double().cpu().abs().clamp_min(1)).double().mean())
