"""Faults that authors make, each planted in a stage of its own: the laws that all stages are held to name every one."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest
import torch

from retouch.core.errors import BrokenTouch
from retouch.testing.laws import stage_laws
from retouch.testing.worlds import tiny_world
from tests.laws import planted
from tests.laws.planted.faults import FAULTS

for module in iter_modules(planted.__path__, f"{planted.__name__}."):
    import_module(module.name)  # which lists what it plants


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(name: str):
    fault = FAULTS[name]
    with pytest.raises((AssertionError, BrokenTouch)) as caught:  # the latter by the engine, in runs as well
        stage_laws(fault.stage, **fault.options)
    assert fault.words in str(caught.value)


def test_there_are_twenty_and_no_two_are_told_alike():
    assert len(FAULTS) >= 20
    assert len({fault.words for fault in FAULTS.values()}) == len(FAULTS)


def test_what_a_faulty_stage_wrote_into_the_network_is_in_no_later_world() -> None:
    before = tiny_world().model.core
    next(iter(before.base.values())).data[0] += 0.001
    after = tiny_world().model.core
    assert after is not before
    assert tiny_world().model.core is after
    assert not torch.equal(*(next(iter(core.base.values())) for core in (before, after)))
