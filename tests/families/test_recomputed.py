"""Blocks that are done again on the way back: the same gradients to the bit, whatever acts in them, in less memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from retouch.api import ModelDelta, Touch, value_and_grad
from retouch.core.awaited.combinators import Gradient, together
from retouch.core.tuning import LowRank
from retouch.models.network.recomputed import Recomputing, standing_in
from retouch.run.executor import run
from retouch_methods.attend.p2p import p2p
from tests.families.family_models import FamilyModel


@contextmanager
def recomputing(model: FamilyModel, blocks: bool = True) -> Iterator[None]:
    core: Any = model.model.core
    assert not core.recomputes  # a small network keeps all
    core.recomputes = blocks
    try:
        yield
    finally:
        core.recomputes = False


def matrices(model: FamilyModel) -> list[str]:
    """The weights of linear layers, by name."""
    layers = model.module.named_modules()
    return [f"{name}.weight" for name, layer in layers if type(layer) is nn.Linear and layer.weight.ndim == 2]


def low_rank(model: FamilyModel, name: str, seed: int) -> tuple[Tensor, Tensor]:
    draws, (out, into) = torch.Generator().manual_seed(seed), model.model.core.base[name].shape
    return torch.randn(out, 2, generator=draws) / 8, torch.randn(2, into, generator=draws) / 8


def gradient(model: FamilyModel, tuning: str, *, controlled: bool = True) -> Gradient:
    """By all weights, by narrow matrices beside some, by words or by latents.

    Under controls, of maps that are kept; by weights beside a LoRA, too.
    """
    world, base, names = model.world(), model.model.core.base, matrices(model)
    step, edit, x = world.schedule.steps[1], world.edit, world.latents.data
    controls = (world.call(p2p, cross_replace=0.8, self_replace=0.4),) if controlled else ()
    adapters = {name: (LowRank(*low_rank(model, name, i)),) for i, name in enumerate(names[::2])}
    own = [name for name, weight in base.items() if weight.is_floating_point()]
    pairs = [each for i, name in enumerate(names) for each in low_rank(model, name, 100 + i)]
    at = [1.05 * base[name] for name in own] if tuning == "weights" else pairs

    if tuning in ("words", "latents"):
        at = [edit.target.embeds if tuning == "words" else x.flip(-1)]

    def delta(tensors: tuple[Tensor, ...]) -> ModelDelta:
        if tuning in ("words", "latents"):
            return ModelDelta()
        if tuning == "weights":
            return ModelDelta(dict(zip(own, tensors, strict=True)), beside=adapters)
        return ModelDelta(low_rank=dict(zip(names, zip(tensors[::2], tensors[1::2], strict=True), strict=True)))

    async def loss(*tensors: Tensor) -> Tensor:
        tuned = model.model.tuned(delta(tensors)) if tuning in ("weights", "low_rank") else model.model
        words = edit.target.saying(tensors[0]) if tuning == "words" else edit.target
        shown = tensors[0] if tuning == "latents" else x.flip(-1)
        record = [Touch("self", "read", "probs", scale=(model.model.core.sites[0].scale,) * 2)] if controlled else []
        said = await together(
            attention=controls,
            record=record,
            step=step,
            source=together(cond=tuned(x, step.noisy, edit.source)),
            target=together(cond=tuned(shown, step.noisy, words)),
        )
        total = said["target"]["cond"].pair.square().mean()
        for maps in said.maps:
            total = total + sum(each.square().mean() for each in maps.sums.values())
        return total

    return run(value_and_grad(loss, *at))[0]


@pytest.mark.parametrize(
    "tuning",
    ["weights", *(pytest.param(each, marks=pytest.mark.bench) for each in ("low_rank", "words", "latents"))],
)
def test_gradients_have_the_bits_that_they_have_without(model: FamilyModel, tuning: str) -> None:
    before = {name: weight.clone() for name, weight in model.module.state_dict().items()}
    plain = gradient(model, tuning)
    done: list[object] = []
    blocks: Any = model.model.core._recomputing._blocks
    again = [block.register_forward_hook(lambda *_: done.append(None)) for block in attending(model)]
    with recomputing(model):
        found = gradient(model, tuning)
    for handle in again:
        handle.remove()
    assert len(done) > len(again)  # in the pass, and for some of them again
    assert torch.equal(found.loss, plain.loss)
    assert sum(bool(grad.any()) for grad in plain.grads) > len(plain.grads) / 2
    for one, other in zip(found.grads, plain.grads, strict=True):
        assert torch.equal(one, other)
    assert not any(block.gradient_checkpointing for block in blocks)
    assert all(torch.equal(before[name], weight) for name, weight in model.module.state_dict().items())


def attending(model: FamilyModel) -> list[nn.Module]:
    return [model.module.get_submodule(site.name) for site in model.model.core.sites if site.kind == "self"]


def test_words_alone_go_back_through_blocks_that_are_done_again(model_of: Callable[[str], FamilyModel]) -> None:
    """As null-text inversion and the first phase of Imagic ask it, with no control and no tuned weight."""
    model = model_of("stable_diffusion")
    plain = gradient(model, "words", controlled=False)
    done: list[object] = []
    again = [block.register_forward_hook(lambda *_: done.append(None)) for block in attending(model)]
    with recomputing(model):
        found = gradient(model, "words", controlled=False)
    for handle in again:
        handle.remove()
    assert len(done) > 2 * len(again) - 2  # in the pass, and nearly all again: what the last one gives is kept
    assert torch.equal(found.loss, plain.loss)
    assert plain.grads[0].any()
    assert torch.equal(found.grads[0], plain.grads[0])


@pytest.mark.bench
@pytest.mark.parametrize("tuning", ["low_rank", "words"])
def test_less_is_kept_for_the_way_back(model: FamilyModel, tuning: str) -> None:
    def kept() -> int:
        weights = {weight.data_ptr() for weight in model.module.parameters()}
        seen: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            if tensor.data_ptr() not in weights:
                seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            gradient(model, tuning, controlled=False)
        return sum(seen.values())

    whole = kept()
    with recomputing(model):
        assert kept() < whole / 2


@pytest.mark.bench
def test_a_block_that_is_done_again_waits_for_other_passes(
    model_of: Callable[[str], FamilyModel],
) -> None:
    """Two threads ask one network: what stands in for one's weights is never seen by the other."""
    model = model_of("stable_diffusion")
    with recomputing(model):
        alone = [gradient(model, tuning) for tuning in ("weights", "low_rank")]
        found: dict[int, list[Gradient]] = {0: [], 1: []}

        def several(which: int, tuning: str) -> None:
            found[which] += [gradient(model, tuning) for _ in range(3)]

        threads = [Thread(target=several, args=each) for each in enumerate(("weights", "low_rank"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for which, expected in enumerate(alone):
        assert len(found[which]) == 3
        for each in found[which]:
            assert all(torch.equal(*pair) for pair in zip(each.grads, expected.grads, strict=True))


def test_a_network_of_no_such_blocks_keeps_all() -> None:
    plain = nn.Sequential(nn.Linear(2, 2))
    with Recomputing(plain).around(lambda: pytest.fail("nothing is done again")):
        plain(torch.ones(2, requires_grad=True)).sum().backward()
    with standing_in(plain, {"0.weight": torch.zeros(2, 2)}):
        assert torch.equal(plain(torch.ones(2)), plain[0].bias)
    assert plain[0].weight.any()
