"""Captured passes share memory that none spoils, and no gradient adds up by chance, as a pretended GPU tells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import call
from retouch.core.device import ordered
from retouch.core.device.repeatable import strict
from retouch.core.tuning import NOTHING, ModelDelta
from retouch.models.family import Rows
from retouch.models.network import captured
from retouch.models.network.captured import CapturedNetwork, give_back_memory
from retouch.run.batching import Buckets
from retouch.run.device import working_on
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.pretend.device import pretended
from retouch.testing.pretend.graphs import PretendedGraph
from retouch.testing.pretend.memory import LivingMemory
from retouch.testing.pretend.moving import GPU
from retouch.testing.pretend.streams import Stream
from retouch_methods.eye import lpips


def network(rows: Rows, delta: ModelDelta = NOTHING) -> Tensor:
    """A few operations whose results on the way are needed on the way back."""
    x = rows.x * rows.timesteps[:, None, None, None]
    return torch.tanh(x).exp() * torch.sigmoid(rows.embeds.mean((1, 2)))[:, None, None, None]


def rows(count: int, seed: int = 0, device: object = "cpu", gradient: bool = False) -> Rows:
    """So many rows of noise."""
    drawn = torch.Generator().manual_seed(seed)
    x, embeds = torch.randn(count, 1, 2, 2, generator=drawn), torch.randn(count, 3, 2, generator=drawn)
    sent = Rows(x.to(device), torch.linspace(0.1, 1, count).to(device), embeds.to(device), {}, {})
    return sent._replace(x=sent.x.requires_grad_(gradient))


def gradient(out: Tensor, given: Rows) -> Tensor:
    return torch.autograd.grad(out.square().sum(), given.x)[0].detach().cpu()


def wanted(count: int, seed: int) -> Tensor:
    given = rows(count, seed, gradient=True)
    return gradient(network(given), given)


def test_passes_of_all_shapes_work_in_one_pool_and_say_what_the_network_says():
    with pretended() as device, torch.no_grad():
        asked = CapturedNetwork(network)
        for seed in range(4):
            for count in (1, 2, 3):
                assert torch.equal(asked(rows(count, seed, GPU)).cpu(), network(rows(count, seed)))
        pools = {graph.graph.pool() for graph in asked.graphs.values()}
    assert (device.captures, device.replays, len(pools)) == (3, 9, 1)


def test_what_works_in_one_pool_warms_up_in_its_stream(monkeypatch: pytest.MonkeyPatch):
    """A library's workspace is each stream's own and never given back; torch has 32 of them in turn."""
    made = list[Stream]()
    with pretended(), monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(torch.cuda, "Stream", lambda: made.append(Stream()) or made[-1])
        asked = CapturedNetwork(network)
        for count in (1, 2, 3):
            for _ in range(2):
                asked(rows(count, 0, GPU))
        for _ in range(2):
            with torch.enable_grad():
                asked(given := rows(4, 0, GPU, gradient=True)).sum().backward()
        assert given.x.grad is not None
    assert len(made) == 2


def test_passes_back_share_memory_unless_they_wait_for_one_another():
    with pretended() as device:
        asked = CapturedNetwork(network)
        for seed in range(3):
            for count in (1, 2):
                given = rows(count, seed, GPU, gradient=True)
                assert torch.equal(gradient(asked(given), given), wanted(count, seed))
        one_pool = {graph.forward.pool() for graph in asked.graphs.values()}
        for seed in range(3):  # both on their way at one time, three times
            both = [rows(count, seed, GPU, gradient=True) for count in (1, 2)]
            outs = [asked(given) for given in both]
            for count, given, out in zip((1, 2), both, outs, strict=True):
                assert torch.equal(gradient(out, given), wanted(count, seed))
            del out, outs
        two_pools = {graph.forward.pool() for graph in asked.graphs.values()}
    assert (len(one_pool), len(two_pools)) == (1, 2)
    assert device.captures == 6  # two graphs a shape, and of one of them again in a pool of its own


def test_what_was_replayed_long_ago_is_let_go_and_captured_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(captured, "MOST_GRAPHS", 2)
    with pretended() as device, torch.no_grad():
        asked = CapturedNetwork(network)
        for count in (1, 2, 3, 1, 2):
            for seed in range(3):
                assert torch.equal(asked(rows(count, seed, GPU)).cpu(), network(rows(count, seed)))
            assert len(asked.graphs) <= 2
    assert device.captures == 5


def test_what_cannot_be_captured_runs_as_it_is_and_leaves_nothing_behind():
    """Neither the stream of the capture nor an allocator that takes it to be under way; and no other shape is tried."""
    with pretended() as device, torch.no_grad():
        asked = CapturedNetwork(lambda given, _: network(given) * float(given.x.abs().sum()))
        before = torch.cuda.current_stream()
        asked(rows(1, 0, GPU))
        with pytest.warns(UserWarning, match="cannot be captured as a CUDA graph: CUDA error: operation not permitted"):
            found = asked(rows(1, 0, GPU))
        assert found.isfinite().all()
        assert torch.equal(asked(rows(1, 0, GPU)), found)
        for _ in range(3):
            asked(rows(2, 0, GPU))
        assert device.captures == 1
        assert torch.cuda.current_stream() is before
        torch.cuda.empty_cache()


def test_where_memory_is_short_for_one_shape_others_are_captured():
    """What there was of the graph is let go before the pass runs as it is: both would not fit."""
    most = 150  # bytes: a pass takes 52 for each row, and to be captured 96
    with pretended() as device, torch.no_grad():
        asked = CapturedNetwork(network)
        for count in (2, 1):
            given = rows(count, 0, GPU)
            asked(given)
            device.memory = LivingMemory(most)
            if count == 2:
                with pytest.warns(UserWarning, match="cannot be captured as a CUDA graph: CUDA out of memory"):
                    asked(given)
                assert device.memory.taken == 0
            else:
                asked(given)
                assert torch.equal(asked(given).cpu(), network(rows(count, 0)))
            device.memory = None
    assert (device.captures, device.replays) == (1, 2)


def test_where_memory_is_short_graphs_give_theirs_back_before_a_call_is_halved():
    """What works in one is nobody else's memory, of a codec no more than of another shape."""
    with pretended() as device, torch.no_grad():
        asked = CapturedNetwork(network)
        for count in (1, 2):
            for _ in range(2):
                asked(rows(count, 0, GPU))
        assert len(asked.graphs) == 2
        twice = list(rows(4, 0).x * 2)
        given = list(rows(4, 0, GPU).x)

        def doubled(items: Tensor) -> Tensor:
            if asked.graphs:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return items * 2

        executor = Executor()
        executor.run(tasks := [Task(lambda each=each: _doubled(doubled, each)) for each in given])
        assert [task.error for task in tasks] == [None] * 4
        assert all(torch.equal(task.result.cpu(), each) for task, each in zip(tasks, twice, strict=True))
        assert [(info.kind, info.rows) for info in executor.calls] == [("apply", 4)]
        for _ in range(2):  # captured again, later than the first time
            asked(rows(1, 0, GPU))
        assert not asked.graphs
        asked(rows(1, 0, GPU))
    assert len(asked.graphs) == 1
    assert device.captures == 3


async def _doubled(function: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    return await call(function, given)


def test_a_graph_whose_way_back_is_awaited_keeps_its_memory():
    with pretended():
        asked = CapturedNetwork(network)
        for _ in range(2):
            out = asked(given := rows(1, 0, GPU, gradient=True))
        assert not give_back_memory()
        assert torch.equal(gradient(out, given), wanted(1, 0))
        del out
        assert give_back_memory()
        assert not asked.graphs


def test_graphs_are_of_the_gpu_that_the_run_is_on():
    """Captured on another, a pass would be done once, and what it left come back for ever."""
    with pretended(1) as device, torch.no_grad():
        asked = CapturedNetwork(network)
        with working_on(device.name):
            for seed in range(4):
                assert torch.equal(asked(rows(2, seed, device.name)).cpu(), network(rows(2, seed)))
        with torch.cuda.graph(PretendedGraph()):  # as torch does it by itself
            assert (torch.ones(1, device=device.name) + 1).isfinite().all()
    assert (device.captures, device.replays) == (2, 3)


def test_a_graph_that_shares_memory_leaves_its_own_numbers_where_anothers_were():
    with pretended():
        x = torch.ones(3, device=GPU)
        graphs, made = [PretendedGraph(), PretendedGraph()], []
        with torch.cuda.graph(graphs[0]):
            made.append(x * 2 + 1)
        assert made[0].isnan().all()  # nothing is done while it is captured
        with torch.cuda.graph(graphs[1], pool=graphs[0].pool()):
            made.append(x * 3 + 1)
        graphs[1].replay()
        graphs[0].replay()
        assert made[0].tolist() == [3, 3, 3]
        assert made[1].isnan().all()
        graphs[1].replay()
        assert made[0].tolist() == [3, 3, 3]  # which somebody still held when the second was captured
        pool = graphs[0].pool()
        graphs.clear()
        with pytest.raises(RuntimeError, match="use_count"), torch.cuda.graph(PretendedGraph(), pool=pool):
            pass


PLACES = torch.rand(3, 5, 7, 2, generator=torch.Generator().manual_seed(1)) * 3 - 1.5
ORDERED = {
    "smaller": lambda x: ordered.bilinear(x, (5, 4), antialias=True),
    "larger": lambda x: ordered.bilinear(x, (14, 22)),
    "reflected": lambda x: ordered.reflected(x, 2),
    "looked up": lambda x: ordered.looked_up(x[0], PLACES.to(x.device)),
    "a perceptual eye": lpips._blurred,
}


def with_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """What a function makes, and how a sum of it that weighs each number otherwise falls."""
    leaf = x.detach().requires_grad_()
    made = function(leaf)
    weights = torch.linspace(-1, 1, made.numel()).reshape(made.shape).to(x.device)
    return made.detach().cpu(), torch.autograd.grad((made * weights).sum(), leaf)[0].cpu()


@pytest.mark.parametrize("name", ORDERED)
def test_what_torch_knows_no_order_for_has_one_and_the_same_numbers(name):
    x = torch.rand(2, 3, 7, 11, generator=torch.Generator().manual_seed(0))
    here = with_gradient(ORDERED[name], x)
    with pretended(), strict():
        there = with_gradient(ORDERED[name], x.to(GPU))
    for one, other in zip(there, here, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 1), (2, 3), (3, 5), (7, 11)])
def test_a_mirrored_frame_is_numpys_of_any_size_and_margin_and_with_order(height, width):
    x = torch.rand(2, height, width, generator=torch.Generator().manual_seed(0))
    for margin in (1, 2, 5):
        meant = np.pad(x.numpy(), ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
        assert torch.equal(ordered.reflected(x, margin), torch.from_numpy(meant))
        with pretended():
            there = ordered.reflected(x.to(GPU).requires_grad_(), margin)
        assert torch.equal(there.detach().cpu(), torch.from_numpy(meant))


async def resized(x: Tensor) -> Tensor:
    """What a stage might do that knows nothing of order."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(F.interpolate(leaf, (4, 4), mode="bilinear").sum(), leaf)[0]


def test_exact_mode_refuses_what_adds_up_by_chance_and_fast_mode_does_not():
    with pretended() as device:
        x = torch.ones(1, 1, 8, 8, device=GPU)
        run(resized(x))
        assert [noted.what for noted in device.unordered] == ["upsample_bilinear2d_backward"]
        with pytest.raises(RuntimeError, match="deterministic"):
            run(resized(x), buckets=Buckets(fixed=2))
