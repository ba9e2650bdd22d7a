"""Rows of any times, prompts and told numbers share calls, and in exact mode have the bits that they have alone."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from retouch.core.values import Edit
from retouch.run.batching import Buckets
from retouch.run.executor import Executor
from retouch.run.task import Task
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch_methods.attend.p2p import p2p
from retouch_methods.blend.local import local
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample
from tests.families.family_models import FamilyModel
from tests.families.tiny_families import FAMILIES

LONG = "a white cat sitting on the beach with a red hat " * 8  # 88 words
TEXTS = ("a cat", "a red dog", "", "a photo of a white cat sitting on the beach and a black dog", LONG, LONG + "a dog")
EXACT = Buckets(fixed=8)


@pytest.mark.crossed
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_six_different_rows_have_the_same_bits_alone_and_in_company(
    name: str, dtype: torch.dtype, folder_of: Callable[[str], Path]
):
    """Six times, six prompts of none to 90 words, six told guidances, in as few calls as there are lengths."""
    model = FamilyModel(name, folder_of(name), dtype)
    prompts, steps = [model.prompt(text) for text in TEXTS], model.schedule(6).steps
    x = Draws(5).tensor(6, model.known.channels, 8, 8)

    def ask(i: int) -> Coroutine[Any, Any, Any]:
        told = {"guidance": 1.0 + i} if model.known.told else {}
        return model.model(x[i], steps[i].noisy, prompts[i], told=told)

    alone = [evaluated([ask(i)])[0][0] for i in range(6)]
    among, calls = evaluated([ask(i) for i in range(6)])
    assert all(torch.equal(one.pair, other.pair) for one, other in zip(alone, among, strict=True))
    assert calls == len({len(prompt.embeds) for prompt in prompts})


def test_a_told_guidance_is_heard(model_of: Callable[[str], FamilyModel]):
    """What a row tells moves its answer; what it does not tell is what the family says."""
    model = model_of("flux_dev")
    x, level, prompt = model.latents()[0], model.schedule(4).steps[1].noisy, model.prompt("a cat")
    usual, same, other = (
        evaluated([model.model(x, level, prompt, told=told)])[0][0].pair
        for told in ({}, dict(model.known.told), {"guidance": 9.0})
    )
    assert torch.equal(usual, same)
    assert not torch.equal(usual, other)


def test_a_number_that_the_network_does_not_read_is_refused(model_of: Callable[[str], FamilyModel]):
    """[schnell] knows no guidance."""
    model = model_of("flux_schnell")
    x, level, prompt = model.latents()[0], model.schedule(4).steps[1].noisy, model.prompt("a cat")
    with pytest.raises(ValueError, match="not told 'guidance'"):
        evaluated([model.model(x, level, prompt, told={"guidance": 3.5})])


def evaluated(coroutines: list[Coroutine[Any, Any, Any]]) -> tuple[list[Any], int]:
    """Results, and how many calls they took."""
    executor = Executor(EXACT)
    tasks = [Task(lambda each=each: each) for each in coroutines]
    executor.run(tasks)
    for task in tasks:
        if task.error:
            raise task.error
    return [task.result for task in tasks], len(executor.calls)


def test_whole_edits_have_the_same_bits_alone_and_in_company(model: FamilyModel):
    """Inversion, p2p over prompts of other lengths, `blend local`: three pictures, and one of them alone."""
    world = replace(model.world(target=LONG, steps=3), guidance=cfg(guidance=2.0))
    edit = world.edit

    async def edited(number: int) -> torch.Tensor:
        latents = replace(world.latents, data=Draws(number).tensor(*world.latents.data.shape))
        turned = edit if number % 2 == 0 else Edit(edit.target, edit.source, edit.negative)
        mine = replace(world, latents=latents, edit=turned)
        trajectory = await mine.call(ddim)
        attend, blend = (mine.call(p2p, align="refine"),), (mine.call(local, side=4),)
        return (await mine.call(sample, trajectory=trajectory, attend=attend, blend=blend)).data

    laws.batch_law(edited, buckets=EXACT)
