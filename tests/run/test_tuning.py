"""Tuning is a value: another denoiser over the same base weights, which nobody writes."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import torch

from retouch.api import Adam, Denoiser, ModelDelta, gather, value_and_grad
from retouch.run.batching import Buckets
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import p2p, two_models

WORLD = replace(tiny_world(steps=4), guidance=cfg(guidance=3.0))
MODEL, LEVEL = WORLD.model, WORLD.schedule.steps[1].noisy
BASE = MODEL.core.base
KEYS = [name for name in BASE if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))]
DRAWS = WORLD.noise.normal(3, like=WORLD.latents.data)


def digest() -> str:
    """Of every base weight."""
    return hashlib.sha256(b"".join(weight.detach().numpy().tobytes() for weight in BASE.values())).hexdigest()


async def denoising_loss(model: Denoiser, world: World, eps: torch.Tensor) -> torch.Tensor:
    """How badly a model sees the noise in its picture."""
    return ((await model(LEVEL.mix(world.latents.data, eps), LEVEL, world.edit.target)).eps - eps).square().mean()


async def fine_tuned(world: World, names=KEYS, lr: float = 1e-2, steps: int = 3) -> Denoiser:
    """Some weights, led to denoise one picture; one forward a step holds all draws."""
    weights, adams = {name: BASE[name] for name in names}, {name: Adam(lr) for name in names}

    async def loss(*tensors):
        model = MODEL.tuned(ModelDelta(dict(zip(names, tensors, strict=True))))
        return torch.stack(await gather(denoising_loss(model, world, eps) for eps in DRAWS)).mean()

    for _ in range(steps):
        found = await value_and_grad(loss, *weights.values())
        weights = {name: adams[name].step(weights[name], grad) for name, grad in zip(names, found.grads, strict=True)}
    return MODEL.tuned(ModelDelta(weights))


def ask(model: Denoiser, world: World = WORLD):
    """One prediction."""
    return model(world.latents.data, LEVEL, world.edit.target)


def calls(*coroutines) -> list[int]:
    """Rows of each denoiser call."""
    executor = Executor()
    executor.run([Task(lambda coroutine=coroutine: coroutine) for coroutine in coroutines])
    return [info.rows for info in executor.calls if info.kind in ("denoise", "gradient")]


@pytest.mark.parametrize("names", [KEYS, list(BASE)], ids=["keys and values", "every weight"])
def test_tuning_helps_and_leaves_the_base_as_it_was(names):
    before, (plain,) = digest(), run(ask(MODEL))
    (tuned,) = run(fine_tuned(WORLD, names))
    losses = run(*(denoising_loss(model, WORLD, DRAWS[0]) for model in (MODEL, tuned)), buckets=Buckets(fixed=2))
    assert losses[1] < losses[0]
    assert digest() == before
    assert torch.equal(run(ask(MODEL))[0].pair, plain.pair)


def test_tuning_that_raises_leaves_the_base_as_it_was():
    before, (plain,) = digest(), run(ask(MODEL))

    async def broken(*tensors):
        await denoising_loss(MODEL.tuned(ModelDelta(dict(zip(KEYS, tensors, strict=True)))), WORLD, DRAWS[0])
        raise RuntimeError("no memory is left")

    with pytest.raises(RuntimeError, match="no memory"):
        run(value_and_grad(broken, *(BASE[name] for name in KEYS)))
    assert digest() == before
    assert torch.equal(run(ask(MODEL))[0].pair, plain.pair)


def test_rows_of_different_weights_never_meet_and_those_of_one_do():
    one, two = (MODEL.tuned(ModelDelta({KEYS[0]: BASE[KEYS[0]] * scale})) for scale in (1.5, 0.5))
    works = (MODEL, one, two, MODEL, one)
    assert calls(*(ask(model) for model in works)) == [2, 2, 1]
    found = run(*(ask(model) for model in works))
    for model, pred in zip(works, found, strict=True):
        torch.testing.assert_close(pred.eps, run(ask(model))[0].eps, rtol=0, atol=1e-5)
    assert not torch.allclose(found[1].eps, found[2].eps, atol=1e-4)


def test_draws_of_one_delta_share_a_forward():
    assert calls(fine_tuned(WORLD)) == [3, 3, 3]
    assert calls(fine_tuned(WORLD), fine_tuned(WORLD.neighbour(1))) == [3] * 6


def test_a_delta_of_the_same_weights_changes_nothing():
    same = MODEL.tuned(ModelDelta({name: BASE[name].clone() for name in KEYS}))
    assert torch.equal(run(ask(same))[0].pair, run(ask(MODEL))[0].pair)


def test_low_rank_weights_are_added_to_the_base():
    generator = torch.Generator().manual_seed(0)
    pairs = {}
    for name in KEYS:
        out, into = BASE[name].shape
        pairs[name] = (torch.randn(out, 2, generator=generator), torch.randn(2, into, generator=generator))
    low_rank = MODEL.tuned(ModelDelta(low_rank=pairs))
    full = MODEL.tuned(ModelDelta({name: BASE[name] + up @ down for name, (up, down) in pairs.items()}))
    torch.testing.assert_close(run(ask(low_rank))[0].pair, run(ask(full))[0].pair, rtol=0, atol=1e-4)
    assert not torch.allclose(run(ask(low_rank))[0].pair, run(ask(MODEL))[0].pair)


def test_low_rank_weights_are_tuned_by_gradients():
    name = KEYS[0]
    out, into = BASE[name].shape
    up, down = torch.zeros(out, 2), torch.randn(2, into, generator=torch.Generator().manual_seed(0))

    async def loss(up, down):
        return await denoising_loss(MODEL.tuned(ModelDelta(low_rank={name: (up, down)})), WORLD, DRAWS[0])

    (found,) = run(value_and_grad(loss, up, down))
    assert found.grads[0].abs().max() > 0
    assert not found.grads[1].any()  # up is zero


@pytest.mark.thorough
def test_two_models_in_one_guidance_are_controlled_each_among_its_own_rows():
    """SINE under prompt-to-prompt: base rows [source, target] x [uncond, cond], and tuned rows [source, target]."""
    (tuned,) = run(fine_tuned(WORLD))
    world = replace(WORLD, guidance=two_models(tuned))
    (made,) = run(world.call(ddim, pinned="always"))

    def edit(attend):
        return world.call(sample, trajectory=made, attend=attend)

    assert calls(edit((p2p(),))) == [4, 2] * 4
    controlled, plain = run(edit((p2p(),)), edit(()))
    assert (controlled.data - plain.data).abs().max() > 0.01
    mixed, _ = run(edit((p2p(),)), WORLD.neighbour(1).call(ddim))
    torch.testing.assert_close(mixed.data, controlled.data, rtol=0, atol=1e-3)
