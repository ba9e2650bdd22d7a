"""An async function is differentiated: what it awaits is batched, and so is the way back."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn

from retouch.api import Adam, Prompt, call, together, value_and_grad
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from tests.laws.by_hand import MAPS, p2p

WORLD = tiny_world(steps=4)
MODEL, EDIT, STEP = WORLD.model, WORLD.edit, WORLD.schedule.steps[2]
X = WORLD.latents.data

with torch.random.fork_rng():
    torch.manual_seed(3)
    DECODER = nn.ConvTranspose2d(4, 3, 4, 4).requires_grad_(False)
    EMBEDDER = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(), nn.Linear(8 * 64, 16)).requires_grad_(False)
    WISH = nn.functional.normalize(torch.randn(16), dim=-1)


def decode(latents):
    return DECODER(latents)


def embed(pictures):
    return nn.functional.normalize(EMBEDDER(pictures), dim=-1)


async def unlike(x0):
    """How far a decoded picture is from the wish, as CLIP guidance asks it."""
    return 1 - (await call(embed, await call(decode, x0))) @ WISH


async def far_from_wish(x, embeds):
    return await unlike((await MODEL(x, STEP.noisy, Prompt("", embeds))).x0)


async def large(x):
    return (await MODEL(x, STEP.noisy, EDIT.source)).x0.square().mean()


def test_gradients_by_latents_and_prompt_at_once_are_those_of_autograd():
    (got,) = run(value_and_grad(far_from_wish, X, EDIT.target.embeds))
    x, embeds = X.clone().requires_grad_(), EDIT.target.embeds.clone().requires_grad_()
    timestep = torch.tensor([STEP.noisy.timestep])
    out = MODEL.core.module(x[None], timestep, encoder_hidden_states=embeds[None]).sample[0]
    x0 = (x - STEP.noisy.sigma * out) / STEP.noisy.alpha
    loss = 1 - embed(decode(x0[None]))[0] @ WISH
    wanted = torch.autograd.grad(loss, (x, embeds))
    assert torch.equal(got.loss, loss.detach())
    for mine, theirs in zip(got.grads, wanted, strict=True):
        assert torch.equal(mine, theirs)


def test_pictures_share_the_forward_pass_the_decoder_and_the_backward_pass():
    executor = Executor()
    pictures = [X, X.flip(-1), X.flip(-2), -X]
    tasks = [Task(lambda x=x: value_and_grad(far_from_wish, x, EDIT.target.embeds)) for x in pictures]
    executor.run(tasks)
    assert [(info.kind, info.rows) for info in executor.calls] == [
        ("gradient", 4),
        ("apply", 4),
        ("apply", 4),
        ("backward", 4),
    ]
    for x, task in zip(pictures, tasks, strict=True):
        (alone,) = run(value_and_grad(far_from_wish, x, EDIT.target.embeds))
        for among, by_itself in zip(task.result.grads, alone.grads, strict=True):
            assert (among - by_itself).norm() <= 1e-4 * by_itself.norm()


def test_losses_that_take_different_numbers_of_awaits_meet_in_one_backward_pass():
    async def slow(x):
        x0 = (await MODEL(x, STEP.noisy, EDIT.source)).x0
        return (await call(decode, await call(torch.clone, x0))).square().mean()

    executor = Executor()
    tasks = [Task(lambda: value_and_grad(slow, X)), Task(lambda: value_and_grad(large, X.flip(-1)))]
    executor.run(tasks)
    assert [info.rows for info in executor.calls if info.kind == "backward"] == [2]
    for task, (function, x) in zip(tasks, ((slow, X), (large, X.flip(-1))), strict=True):
        (alone,) = run(value_and_grad(function, x))
        assert (task.result.grads[0] - alone.grads[0]).norm() <= 1e-4 * alone.grads[0].norm()


def test_what_comes_with_the_loss_comes_back_and_needs_no_second_forward():
    async def with_prediction(x):
        pred = await MODEL(x, STEP.noisy, EDIT.source)
        return pred.x0.square().mean(), pred

    executor, task = Executor(), Task(lambda: value_and_grad(with_prediction, X))
    executor.run([task])
    assert task.rows == 1
    assert torch.equal(task.result.extra.x0.square().mean(), task.result.loss)


def test_a_leaf_that_the_loss_does_not_read_has_a_gradient_of_zeros():
    async def of_the_first(x, other):
        return await large(x)

    (got,) = run(value_and_grad(of_the_first, X, torch.ones(3)))
    assert torch.equal(got.grads[1], torch.zeros(3))
    assert got.grads[0].abs().max() > 0


def test_the_gradient_of_recorded_attention_maps_is_the_finite_difference():
    """pix2pix-zero: latents are led to where the attention maps are the source's."""
    world = tiny_world(dtype=torch.float64)
    model, level, prompt, x = world.model, world.schedule.steps[2].noisy, world.edit.source, world.latents.data

    async def maps(x):
        return (await together(record=(MAPS,), source=model(x, level, prompt))).maps[0].of("source")

    wanted = run(maps(x), maps(x.flip(-1)))

    def miss(goal):
        async def distance(x):
            return (await maps(x) - goal).square().sum()

        return distance

    start = x + 0.3
    executor = Executor()
    tasks = [Task(lambda goal=goal: value_and_grad(miss(goal), start)) for goal in wanted]
    executor.run(tasks)
    assert [info.rows for info in executor.calls] == [2, 2]
    for goal, task in zip(wanted, tasks, strict=True):
        (grad,) = task.result.grads
        way, h = grad / grad.norm(), 1e-4
        ahead, behind = run(miss(goal)(start + h * way), miss(goal)(start - h * way))
        assert float((grad * way).sum()) == pytest.approx(float(ahead - behind) / (2 * h), rel=1e-5)


@pytest.mark.parametrize("branch", ["source", "target"])
def test_gradients_flow_through_a_joined_group_whichever_row_asks(branch):
    async def loss(x):
        xs = {"source": X, "target": X.flip(-1)} | {branch: x}
        rows = {name: MODEL(xs[name], STEP.noisy, getattr(EDIT, name)) for name in xs}
        pred = await together(attention=(p2p(),), step=WORLD.schedule.steps[0], **rows)
        return pred[branch].x0.square().mean()

    (got,) = run(value_and_grad(loss, X))
    assert got.grads[0].abs().max() > 0


def test_the_target_of_prompt_to_prompt_has_a_gradient_by_the_sources_latents():
    async def loss(x):
        pred = await together(
            attention=(p2p(),),
            step=WORLD.schedule.steps[0],
            source=MODEL(x, STEP.noisy, EDIT.source),
            target=MODEL(X, STEP.noisy, EDIT.target),
        )
        return pred["target"].x0.square().mean()

    (got,) = run(value_and_grad(loss, X.flip(-1)))
    assert got.grads[0].abs().max() > 0


def test_a_gradient_under_guidance_is_that_of_both_its_rows():
    guide = cfg(guidance=3.0)

    async def guided(x):
        return (await guide(MODEL, x, STEP.noisy, EDIT.target, EDIT.negative)).x0.square().mean()

    async def separately(x):
        one = await MODEL(x, STEP.noisy, EDIT.negative)
        two = await MODEL(x, STEP.noisy, EDIT.target)
        return one.toward(two, 3.0).x0.square().mean()

    one, two = (run(value_and_grad(function, X))[0] for function in (guided, separately))
    assert (one.grads[0] - two.grads[0]).norm() <= 1e-5 * two.grads[0].norm()


def test_rows_with_gradients_and_without_do_not_meet():
    executor = Executor()
    executor.run([Task(lambda: value_and_grad(large, X)), Task(lambda: large(X))])
    assert sorted((info.kind, info.rows) for info in executor.calls) == [
        ("backward", 1),
        ("denoise", 1),
        ("gradient", 1),
    ]


def test_what_was_differentiated_does_not_ask_for_gradients_any_more():
    async def both(x):
        found = await value_and_grad(large, x)
        return found.loss.requires_grad, found.grads[0].requires_grad, (await large(x)).requires_grad

    assert run(both(X)) == [(False, False, False)]


def test_adam_takes_the_same_steps_as_torchs():
    x = X.double()
    mine, theirs = x, x.clone().requires_grad_()
    adam, oracle = Adam(lr=0.02), torch.optim.Adam([theirs], lr=0.02)
    for i in range(30):
        grad = torch.sin(mine * (i + 1))
        theirs.grad = torch.sin(theirs.detach() * (i + 1))
        mine = adam.step(mine, grad)
        oracle.step()
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)
    assert (mine - x).abs().max() > 0.1


def test_a_prompt_is_tuned_in_the_same_forwards_as_another_pictures():
    """Imagic's first stage: an embedding is led to denoise its picture, one loop a picture."""
    draws = WORLD.noise.normal(3, like=X)

    async def tuned(world):
        embeds, losses = world.edit.target.embeds, []

        async def loss(embeds, eps):
            x = STEP.noisy.mix(world.latents.data, eps)
            return ((await MODEL(x, STEP.noisy, Prompt("", embeds))).eps - eps).square().mean()

        adam = Adam(lr=0.05)
        for _ in range(4):
            for eps in draws:
                found = await value_and_grad(lambda e, eps=eps: loss(e, eps), embeds)
                losses.append(float(found.loss))
                embeds = adam.step(embeds, found.grads[0])
        return losses

    executor, tasks = Executor(), [Task(lambda i=i: tuned(WORLD.neighbour(i))) for i in range(2)]
    executor.run(tasks)
    assert {(info.kind, info.rows) for info in executor.calls} == {("gradient", 2), ("backward", 2)}
    for task in tasks:
        assert sum(task.result[-3:]) < sum(task.result[:3])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_adam_in_half_precision_takes_the_steps_of_float32(dtype):
    start, grads = torch.ones(3), torch.tensor([[1e-4, -3e-5, 2e-3], [2e-4, 5e-5, -1e-3]]).to(dtype)
    halved, exact, x, y = Adam(1e-2), Adam(1e-2), start.to(dtype), start
    for grad in grads:
        x, y = halved.step(x, grad), exact.step(y, grad.float())
    torch.testing.assert_close(x, y)


def test_gradients_are_nobodys_but_whose_asks_for_them():
    """A step on all weights of a large network lets go of each gradient as it is used."""
    world = tiny_world(steps=2)
    left: list[bool] = []

    async def used() -> None:
        async def loss(x: torch.Tensor) -> torch.Tensor:
            return (await world.model(x, world.schedule.steps[0].noisy, world.edit.target)).eps.square().mean()

        found = await value_and_grad(loss, world.latents.data)
        grad = weakref.ref(found.grads[0])
        del found
        left.append(grad() is None)

    run(used())
    assert left == [True]
