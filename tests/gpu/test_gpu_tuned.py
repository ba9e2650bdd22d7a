"""On the device rows under LoRA files and tuned weights are captured too, and replays have the bits of eager passes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from retouch.api import Adam, Denoiser, Prompt, step_all, value_and_grad
from retouch.core.tuning import LowRank, ModelDelta, Patch
from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.models.network.captured import FEW
from retouch.run.executor import run
from tests.gpu.device import DEVICE, REHEARSED, far, world

pytestmark = pytest.mark.gpu
GRAPHS = Acceleration(graphs=True)
PASSES = FEW + 3


def drawn(shape: Any, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE) / 8


def low_rank(model: Denoiser) -> dict[str, tuple[Tensor, Tensor]]:
    matrices = {name: each for name, each in model.core.base.items() if "attn" in name and each.ndim == 2}
    return {name: (drawn((len(each), 4), 1), drawn((4, each.shape[1]), 2)) for name, each in matrices.items()}


def lora(model: Denoiser) -> ModelDelta:
    return ModelDelta(beside={name: (LowRank(*pair),) for name, pair in low_rank(model).items()})


DELTAS: dict[str, Callable[[Denoiser], ModelDelta]] = {
    "a LoRA file": lora,
    "tuned weights": lambda model: ModelDelta({name: 1.05 * each for name, each in model.core.base.items()}),
    "a learnt LoRA of a placed network": lambda model: ModelDelta(low_rank=low_rank(model), place=Patch()),
}


def said(model: Denoiser, seed: int) -> Tensor:
    here = world()
    step, x = here.schedule.steps[seed % 4], here.latents.data
    return run(model(x + drawn(x.shape, seed), step.noisy, here.edit.target))[0].eps


def gradient(model: Denoiser, seed: int) -> Tensor:
    here = world()
    step, prompt = here.schedule.steps[1], here.edit.target

    async def loss(words: Tensor) -> Tensor:
        return (await model(here.latents.data, step.noisy, Prompt("", words))).eps.square().mean()

    return run(value_and_grad(loss, prompt.embeds + drawn(prompt.embeds.shape, seed)))[0].grads[0]


@pytest.mark.parametrize("ask", [said, gradient])
@pytest.mark.parametrize("name", DELTAS)
def test_replays_under_a_delta_have_the_bits_of_eager_passes(name: str, ask: Callable[[Denoiser, int], Tensor]):
    model, plain = (world(acceleration=how).model for how in (GRAPHS, EAGER))
    delta = DELTAS[name](plain)
    for seed in range(PASSES):
        assert torch.equal(ask(model.tuned(delta), seed), ask(plain.tuned(delta), seed))


def test_blocks_that_are_done_again_are_part_of_the_graph():
    model, plain = (world(acceleration=how).model for how in (GRAPHS, EAGER))
    delta, cores = lora(plain), (model.core, plain.core)
    try:
        for core in cores:
            core.recomputes = True  # pyright: ignore[reportAttributeAccessIssue] of a network's core
        for seed in range(PASSES):
            assert torch.equal(gradient(model.tuned(delta), seed), gradient(plain.tuned(delta), seed))
    finally:
        for core in cores:
            core.recomputes = False  # pyright: ignore[reportAttributeAccessIssue]


def test_what_is_written_into_weights_is_seen_and_two_keep_apart():
    model, plain = (world(acceleration=how).model for how in (GRAPHS, EAGER))
    one, other = lora(plain), ModelDelta(low_rank=low_rank(plain))
    for seed in range(PASSES):
        for delta in (one, other):
            assert torch.equal(said(model.tuned(delta), seed), said(plain.tuned(delta), seed))
    for updates in one.beside.values():
        updates[0].up.mul_(-2)  # pyright: ignore[reportAttributeAccessIssue] of low rank
    assert torch.equal(said(model.tuned(one), 0), said(plain.tuned(one), 0))


@pytest.mark.skipif(REHEARSED, reason="a CPU has no memory of its own to be given back")
def test_memory_of_weights_that_nobody_has_is_given_back():
    model = world(acceleration=GRAPHS).model

    def taken() -> int:
        gc.collect()
        said(model, 0)  # where graphs of weights that went are let go
        torch.cuda.empty_cache()
        return torch.cuda.memory_allocated()

    found = []
    for _ in range(4):
        delta = lora(model)
        for seed in range(PASSES):
            said(model.tuned(delta), seed)
        del delta
        found.append(taken())
    assert found[-1] == found[0]


def test_parameters_that_step_together_go_where_they_go_alone():
    one_by_one, together = ([Adam(0.1) for _ in range(5)] for _ in range(2))
    here = there = [drawn((3, each), each) for each in range(1, 6)]
    there = list(there)
    for seed in range(4):
        grads = [drawn(each.shape, seed) for each in here]
        here = [adam.step(*pair) for adam, *pair in zip(one_by_one, here, grads, strict=True)]
        step_all(together, there, grads)
        assert all(far(one, other) < 1e-6 for one, other in zip(there, here, strict=True))
