"""A pretended GPU refuses what a GPU refuses and notes where the host would wait; no built-in stage does either."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from retouch.api import Mask, SourceImage, on_host, stage, upload, upload_numbers
from retouch.run.executor import run
from retouch.testing.laws import device_law
from retouch.testing.pretend.device import pretended
from retouch.testing.pretend.moving import CPU, GPU
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg
from tests.gpu.cases import CONTINUOUS, DECIDING
from tests.gpu.later_cases import LATER

CASES = {**CONTINUOUS, **LATER, **{f"{name} deciding": case for name, case in DECIDING.items()}}
WRITES = {"save", "sheet"}  # by threads of their own, which nobody waits for
MIXTURES = {
    "a sum": lambda there, here: there + here,
    "a stack": lambda there, here: torch.stack((there, here)),
    "a product": lambda there, here: there @ here.T,
    "in place, on the host": lambda there, here: here.add_(there),
    "an index of the device": lambda there, here: here[there.long()],
    "a number of the host in a stack": lambda there, here: torch.stack((there.sum(), here.sum())),
    "a comparison": torch.equal,
    "a draw by the host's generator": lambda there, here: there.normal_(generator=torch.Generator()),
    "a draw there by the host's": lambda there, here: torch.randn(3, device=GPU, generator=torch.Generator()),
    "an array": lambda there, here: there.numpy(),
}
WAITS = {
    "float": lambda there: float(there.sum()),
    "if": lambda there: bool(there.any()),
    "a list": lambda there: there.tolist(),
    "a copy back": lambda there: there.cpu(),
    "nonzero": lambda there: there.nonzero(),
    "what is marked": lambda there: there[there > 0],
    "a list as an index": lambda there: there[[0, 1]],
    "numbers of the host": lambda there: torch.tensor([1.0, 2.0], device=there.device),
    "a tensor of the host": lambda there: torch.zeros(3).to(there),
    "a solution that may not be": torch.linalg.inv,
}
FREE = {
    "a number": lambda there: there * 2 + torch.tensor(0.5),
    "a new tensor": lambda there: torch.zeros(3, device=there.device) + there.new_ones(3),
    "a filled mark": lambda there: there.masked_fill(there > 0, 1.0),
    "a choice": lambda there: torch.where(there > 0, there, 0.0),
    "a place": lambda there: there[0, 1:],
    "pinned": lambda there: upload(torch.zeros(3), there.device),
    "pinned numbers": lambda there: upload_numbers([1, 2], torch.float32, there.device),
    "a quantile": lambda there: torch.quantile(there.flatten(), 0.5),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_what_a_gpu_refuses_is_refused(name):
    with pretended(), pytest.raises((RuntimeError, TypeError), match=r"same device|generator|indices|numpy"):
        MIXTURES[name](torch.ones(3, 3, device=GPU), torch.ones(3, 3))


@pytest.mark.parametrize("name", WAITS)
def test_where_the_host_would_wait_is_noted_with_its_place(name):
    with pretended() as device:
        there = torch.eye(3, device=GPU)
        assert not device.waits
        WAITS[name](there)
    assert device.waits
    assert "test_pretended_device.py" in str(device.waits[0])


@pytest.mark.parametrize("name", FREE)
def test_what_waits_for_nothing_is_not_noted_and_stays_there(name):
    with pretended() as device:
        made = FREE[name](torch.eye(3, device=GPU))
        assert not device.waits
        assert made.device == GPU


def test_what_threads_of_a_pool_make_is_on_the_device_too():
    with pretended(), ThreadPoolExecutor(1) as pool:
        assert (torch.ones(3, device=GPU) + pool.submit(lambda: torch.ones(3, device=GPU)).result()).tolist() == [2] * 3


def test_a_module_there_changes_its_precision_with_its_numbers():
    with pretended() as device, torch.no_grad():
        module = torch.nn.Linear(2, 2, device=device.name).to(torch.bfloat16)
        assert module(torch.ones(1, 2, dtype=torch.bfloat16, device=device.name)).dtype == torch.bfloat16


def test_gradients_cross_to_the_host_and_come_in_the_same_bits():
    leaf = torch.randn(4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (wanted,) = torch.autograd.grad(leaf.square().sum(), leaf)
    with pretended():
        (found,) = torch.autograd.grad(leaf.to("cuda").square().sum(), leaf)
        assert found.device == CPU
        assert torch.equal(found, wanted)


def test_a_sum_whose_order_is_the_gpus_whim_is_noted():
    with pretended() as device:
        there = torch.zeros(3, device=GPU)
        there.index_add_(0, torch.zeros(5, dtype=torch.int64, device=GPU), torch.ones(5, device=GPU))
    assert [noted.what for noted in device.unordered] == ["index_add_"]


@pytest.mark.parametrize("name", CASES)
def test_a_built_in_stage_mixes_nothing_and_waits_for_nothing(name, tmp_path):
    with pretended() as device:
        here = world(device.name)
        device.waits.clear()
        CASES[name](here, tmp_path)
    waits = [] if name.split()[0] in WRITES else device.in_ticks
    assert not waits, str(waits[0])


@pytest.mark.parametrize("name", ["attend masactrl", "blend pixel", "guide image_text", "invert negative_prompt"])
def test_numbers_are_those_of_the_host(name, tmp_path):
    wanted = CASES[name](world("cpu"), tmp_path)
    with pretended() as device:
        found = [each.detach().cpu() for each in CASES[name](world(device.name), tmp_path)]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5, equal_nan=True)


def world(device: str) -> World:
    return replace(tiny_world(steps=2, device=device), guidance=cfg(guidance=3.0))


def test_numbers_that_hang_on_values_are_brought_in_one_go_for_all_pictures():
    async def asked(x):
        return float((await on_host(x.square())).sum())

    with pretended() as device:
        pictures = [torch.full((3,), float(i), device=GPU) for i in range(5)]
        assert run(*map(asked, pictures)) == [0.0, 3.0, 12.0, 27.0, 48.0]
    assert len(device.waits) == 1
    assert device.waits[0].in_tick
    assert not device.in_ticks


@stage("mask", "by_value")
def by_value(source: SourceImage) -> Mask:
    """Ask for a number where all would wait for it."""
    bright = float(source.data.mean()) > 0
    return Mask(torch.full_like(source.data[0], float(bright)))


@stage("mask", "of_host")
def of_host(source: SourceImage) -> Mask:
    """Mix a tensor of the host in."""
    return Mask(torch.linspace(0, 1, source.data.shape[2]) * source.data[0])


def test_the_law_names_a_stage_that_waits_or_mixes():
    with pytest.raises(AssertionError, match="by_value"):
        device_law(by_value)
    with pytest.raises(RuntimeError, match="same device"):
        device_law(of_host)
