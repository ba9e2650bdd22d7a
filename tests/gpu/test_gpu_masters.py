"""On a card too small for Adam the weights that are moved stand in host memory: the same tuning, but for rounding."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch

from retouch.api import Adam
from retouch.run.executor import run
from retouch.testing.worlds import tiny_world
from retouch_methods.tune.denoising import LossScale, Practice, descend, mean_missed
from retouch_methods.tune.tensors import movable
from tests.gpu.device import DEVICE, REHEARSED, far

pytestmark = pytest.mark.gpu
STEPS, SMALL, LARGE = 3, 1, 2**60


def tuned(room: int, *, again: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> Sequence[torch.Tensor]:
    """All weights after some steps; room: bytes that the card is said to have."""
    world = tiny_world(steps=4, dtype=dtype, device=DEVICE)
    world.model.core.recomputes = again  # pyright: ignore[reportAttributeAccessIssue]
    moved, practice = movable(world.model, "all", 0, world.noise), Practice.of(world.schedule, world.noise)
    with monkeypatch.context() as patched:
        patched.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=room))
        first = moved.first()
    seen = practice.of_pictures([world.latents.data], 2)

    async def miss(step: int, *tensors: torch.Tensor) -> torch.Tensor:
        return await mean_missed(moved.under(tensors), await seen(step), world.edit.target)

    adams = [Adam(1e-4) for _ in first]
    (made,) = run(descend(first, miss, adams, range(STEPS), lambda *_: None, LossScale.of(world.model)))
    host = torch.device("cpu") if room == SMALL else DEVICE
    assert {each.device.type for each in (*first, *made)} == {host.type}
    assert {adam.mean.device.type for adam in adams if adam.mean is not None} == {host.type}
    assert {weight.device.type for weight in moved.under(made).weights.values()} == {DEVICE.type}
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_a_tuning_comes_to_the_same_wherever_its_weights_stand(dtype: torch.dtype, monkeypatch) -> None:
    if REHEARSED and dtype == torch.float16:
        pytest.skip("a CPU has no convolutions in float16 to speak of")
    there = tuned(LARGE, again=False, dtype=dtype, monkeypatch=monkeypatch)
    for room, again in ((LARGE, True), (SMALL, True)):
        found = tuned(room, again=again, dtype=dtype, monkeypatch=monkeypatch)
        assert all(far(*pair) < 1e-5 for pair in zip(found, there, strict=True))


@pytest.mark.skipif(REHEARSED, reason="a CPU has one memory")
def test_what_moves_takes_no_room_on_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    for room in (LARGE, SMALL):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        made = tuned(room, again=True, dtype=torch.float32, monkeypatch=monkeypatch)
        numbers = sum(each.numel() for each in made)
        taken.append(torch.cuda.memory_allocated() - before)
        del made
    assert taken[0] - taken[1] >= 4 * numbers
