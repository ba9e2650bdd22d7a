"""Passes under LoRA files and tuned weights are captured like others, as a pretended GPU tells, and never stale."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from retouch.api import Prompt, value_and_grad
from retouch.core.denoiser import Denoiser
from retouch.core.tuning import NOTHING, LowRank, ModelDelta, Patch
from retouch.models.family import Ask, Net, Rows
from retouch.models.network import captured
from retouch.models.network.acceleration import Acceleration
from retouch.models.network.captured import CapturedNetwork
from retouch.models.network.core import NetworkCore
from retouch.run.batching import Buckets
from retouch.run.executor import run
from retouch.testing.pretend.device import pretended
from retouch.testing.pretend.moving import GPU
from retouch.testing.pretend.noting import PretendedDevice
from retouch.testing.tiny import schedule
from retouch.testing.worlds import tiny_world

FEW = 2
STEP = schedule(2).steps[0]


class Small(nn.Module):
    """Layers of each kind that a delta acts on, the second in a block that may be done again on the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.gradient_checkpointing, self._gradient_checkpointing_func = False, checkpoint
        self.conv_in, self.attn = nn.Conv2d(4, 8, 3, padding=1), nn.Linear(8, 8)
        self.conv_out = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor, timesteps: Tensor, embeds: Tensor) -> Tensor:
        x = self.conv_in(x * timesteps[:, None, None, None] / 1000) + embeds.mean((1, 2))[:, None, None, None]
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self.conv_out(self._gradient_checkpointing_func(self._block, x))
        return self.conv_out(self._block(x))

    def _block(self, x: Tensor) -> Tensor:
        return x + torch.sigmoid(self.attn(x.movedim(1, -1))).movedim(-1, 1)


class SmallNet(Net):
    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        return ask(rows.x, rows.timesteps, rows.embeds)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedDevice]:
    monkeypatch.setattr(captured, "FEW", FEW)
    with pretended() as there:
        yield there


def models(large: bool = False) -> list[Denoiser]:
    """The same network, its passes captured, and not."""
    found: list[Denoiser] = []
    for graphs in (True, False):
        torch.manual_seed(0)
        core = NetworkCore(SmallNet(Small().to(GPU)), "epsilon", (), acceleration=Acceleration(graphs=graphs))
        core.recomputes = large
        found.append(Denoiser(core))
    return found


def drawn(shape: Any, seed: int) -> Tensor:
    return (0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).to(GPU)


def low_rank(model: Denoiser, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    matrices = {name: weight for name, weight in model.core.base.items() if "attn" in name and weight.ndim == 2}
    return {
        name: (drawn((len(each), 2), seed + i), drawn((2, each.shape[1]), seed - i - 1))
        for i, (name, each) in enumerate(matrices.items())
    }


def lora(model: Denoiser, seed: int) -> ModelDelta:
    return ModelDelta(beside={name: (LowRank(*pair),) for name, pair in low_rank(model, seed).items()})


def tuned(model: Denoiser, seed: int) -> ModelDelta:
    weights = {name: each * 1.1 for name, each in model.core.base.items() if each.is_floating_point()}
    return ModelDelta(weights, low_rank(model, seed), lora(model, -seed).beside)


DELTAS = {
    "a LoRA file": lora,
    "a learnt LoRA": lambda model, seed: ModelDelta(low_rank=low_rank(model, seed)),
    "tuned weights under both": tuned,
    "a place": lambda model, seed: ModelDelta(place=Patch()),
}


def said(models: list[Denoiser], seed: int, exact: bool = False) -> list[Tensor]:
    """What networks predict of a picture of their own each, all in one tick."""
    prompt = Prompt("", drawn((3, 2), seed))
    rows = [model(drawn((4, 6, 6), seed + i), STEP.noisy, prompt) for i, model in enumerate(models)]
    return [pred.eps.cpu() for pred in run(*rows, buckets=Buckets(fixed=2) if exact else None)]


def gradients(model: Denoiser, seed: int) -> list[Tensor]:
    """By words, as null-text inversion asks, and by latents."""

    async def loss(words: Tensor, shown: Tensor) -> Tensor:
        return (await model(shown, STEP.noisy, Prompt("", words))).eps.square().mean()

    found = run(value_and_grad(loss, drawn((3, 2), seed), drawn((4, 6, 6), seed)))[0]
    return [each.cpu() for each in (found.loss, *found.grads)]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("name", DELTAS)
@pytest.mark.parametrize("exact", [False, True])
def test_a_replay_under_a_delta_has_the_bits_of_a_pass_without_capture(device, name: str, exact: bool):
    model, plain = models()
    delta = DELTAS[name](model, 3)
    for seed in range(FEW + 2):
        found = said([model.tuned(delta)], seed, exact)
        assert equal(found, said([plain.tuned(delta)], seed, exact))
        assert not equal(found, said([plain], seed, exact))
    assert (device.captures, device.replays) == (1, 2)


@pytest.mark.parametrize("large", [False, True])
def test_gradients_by_words_under_a_lora_are_captured_both_ways(device, large: bool):
    """Of a large network, too, whose blocks are done again on the way back: that is then part of the graph."""
    model, plain = models(large)
    delta, done = lora(model, 3), []
    for each in (model, plain):
        assert isinstance(each.core, NetworkCore)
        each.core.module.get_submodule("attn").register_forward_hook(lambda *_: done.append(None))
    for seed in range(FEW + 2):
        found = gradients(model.tuned(delta), seed)
        assert equal(found, gradients(plain.tuned(delta), seed))
        assert all(each.any() for each in found)
    assert (device.captures, device.replays) == (2, 4)
    assert len(done) == (2 if large else 1) * 2 * (FEW + 2)  # of replays none, and of what is captured and warms up


def test_two_loras_in_one_tick_and_none_keep_apart(device):
    model, plain = models()
    deltas = [lora(model, 3), lora(model, 50), NOTHING, ModelDelta()]
    for seed in range(FEW + 3):
        found = said([model.tuned(each) for each in deltas], seed)
        assert equal(found, said([plain.tuned(each) for each in deltas], seed))
    assert device.captures == 3  # of nothing at all there is one


def test_what_is_written_into_weights_after_their_capture_is_seen(device):
    model, plain = models()
    delta, before = lora(model, 3), []
    for _ in range(FEW + 2):
        before = said([model.tuned(delta)], 0)
    for (update,) in delta.beside.values():
        assert isinstance(update, LowRank)
        update.up.mul_(-2)
    found = said([model.tuned(delta)], 0)
    assert device.captures == 1
    assert not equal(found, before)
    assert equal(found, said([plain.tuned(delta)], 0))


def test_weights_that_a_gradient_is_asked_by_are_not_captured(device):
    model, _ = models()
    pairs, prompt = low_rank(model, 3), Prompt("", drawn((3, 2), 0))

    async def loss(*ups: Tensor) -> Tensor:
        ranks = {name: (up, down) for (name, (_, down)), up in zip(pairs.items(), ups, strict=True)}
        tuned = model.tuned(ModelDelta(low_rank=ranks))
        return (await tuned(drawn((4, 6, 6), 0), STEP.noisy, prompt)).eps.square().mean()

    for _ in range(FEW + 2):
        (found,) = run(value_and_grad(loss, *(up for up, _ in pairs.values())))
        assert all(grad.any() for grad in found.grads)
    assert device.captures == 0


@pytest.mark.thorough
@pytest.mark.parametrize("name", DELTAS)
def test_a_unet_is_replayed_under_a_delta(device, name: str):
    """With sites of its own, attention and norms."""
    world, plain = (tiny_world(steps=2, device="cuda", acceleration=Acceleration(graphs=on)) for on in (True, False))
    delta = DELTAS[name](world.model, 3)
    for seed in range(FEW + 2):
        x, level = drawn(world.latents.data.shape, seed), world.schedule.steps[0].noisy
        pair = [run(each.model.tuned(delta)(x, level, each.edit.target))[0].eps.cpu() for each in (world, plain)]
        assert torch.equal(*pair)
    assert (device.captures, device.replays) == (1, 2)


# One layer, for what is kept and let go -----------------------------------------------------------------------------


def network(rows: Rows, delta: ModelDelta) -> Tensor:
    return rows.x * delta.weights.get("w", 1.0) + rows.timesteps[:, None, None, None]


def rows(seed: int, count: int = 2) -> Rows:
    return Rows(drawn((count, 1, 2, 2), seed), drawn((count,), seed), drawn((count, 1, 1), seed), {}, {})


def weights(seed: int) -> ModelDelta:
    return ModelDelta({"w": drawn((), seed)})


def asked(network: CapturedNetwork, delta: ModelDelta, times: int) -> None:
    for seed in range(times):
        given = rows(seed)
        assert torch.equal(network(given, delta).cpu(), network.network(given, delta).cpu())


def test_weights_of_a_few_passes_are_not_captured_and_leave_nothing(device):
    """As a tuning has them, others at each step."""
    made = CapturedNetwork(network)
    with torch.no_grad():
        for seed in range(5):
            asked(made, weights(seed), FEW)
        made(rows(0))
    assert device.captures == 0
    assert [key.delta for key in (*made._passed, *made._few)] == [0, 0]


def test_graphs_go_with_the_weights_that_they_are_of(device):
    made, kept = CapturedNetwork(network), weights(1)
    with torch.no_grad():
        asked(made, kept, FEW + 2)
        asked(made, weights(2), FEW + 2)
        gc.collect()
        asked(made, NOTHING, 3)
        assert {key.delta for key in made.graphs} == {0, 1}
        asked(made, weights(3), FEW + 2)  # where the second lay, perhaps
        asked(made, kept, 1)
    assert device.captures == 4


def test_more_weights_than_graphs_that_take_turns_are_not_captured_for_single_replays(device, monkeypatch):
    monkeypatch.setattr(captured, "MOST_GRAPHS", 3)
    made, several = CapturedNetwork(network), [weights(seed) for seed in range(6)]
    with torch.no_grad():
        for _ in range(32):
            for each in several:
                asked(made, each, 1)
    assert len(made.graphs) <= 3
    assert device.captures < 40  # of 192 passes; captured anew each time that they come, 180


def test_weights_that_cannot_be_captured_are_no_reason_against_others(device):
    """As those that a plugin left on the host: bringing them waits."""
    made, here = CapturedNetwork(lambda rows, delta: network(rows, delta) + delta.weights["b"].to(rows.x)), weights(1)
    far = ModelDelta({**here.weights, "b": torch.ones(2, 1, 1, 1)})
    near = ModelDelta({**here.weights, "b": torch.ones(2, 1, 1, 1).to(GPU)})
    with torch.no_grad():
        with pytest.warns(UserWarning, match="cannot be captured"):
            asked(made, far, FEW + 2)
        asked(made, near, FEW + 2)
    assert [graph is None for graph in made.graphs.values()] == [True, False]


def test_what_a_captured_pass_would_copy_from_the_host_is_lost(device):
    """So the pretence tells of numbers that are there once, when the pass is captured, and others' at its replays."""
    numbers = torch.ones(2).pin_memory()
    graph, x = torch.cuda.CUDAGraph(), torch.ones(2, device="cuda")
    with torch.cuda.graph(graph):
        out = x + numbers.to("cuda", non_blocking=True)
    graph.replay()
    assert out.cpu().isnan().all()
