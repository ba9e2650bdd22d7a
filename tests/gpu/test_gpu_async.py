"""Nothing waits for the device inside a tick: what is asked next is prepared while it works."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.api import Edit
from retouch.run.executor import Executor
from retouch.run.task import Task
from retouch.testing.worlds import World
from retouch_methods.attend.p2p import p2p
from retouch_methods.blend.local import local
from retouch_methods.guide.proximal import proximal
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample
from tests.gpu.device import REHEARSED, world

pytestmark = pytest.mark.gpu


def with_everything(here: World):
    """P2P with a word of its own window and weight, and a blend by words."""
    edit = Edit(here.edit.source, here.edit.target, here.edit.negative, weights=(("dog", 2.0),))
    here = replace(here, edit=edit)
    controls = {
        "attend": (here.call(p2p, words=("dog",), word_replace=(0.5,)),),
        "blend": (here.call(local, side=8),),
    }
    return here, controls


def proximally(here: World):
    return replace(here, guidance=here.call(proximal, pull=0.5)), {}


EDITS = {"guidance": lambda here: (here, {}), "p2p and a blend by words": with_everything, "proximal": proximally}


@pytest.mark.parametrize("name", EDITS)
def test_an_inversion_and_its_edit_never_wait_for_the_device(name):
    prepared = [EDITS[name](world().neighbour(i)) for i in range(2)]
    driven = [drive(prepared, error=False), drive(prepared, error=not REHEARSED)]  # the first loads what loads once
    for one, two in zip(*driven, strict=True):
        assert torch.equal(one, two)


def drive(prepared, *, error: bool) -> list[torch.Tensor]:
    """The edits of all pictures; with `error` a wait raises where it is."""

    async def edited(here: World, controls):
        return (await here.call(sample, trajectory=await here.call(ddim, pinned="always"), **controls)).data

    tasks = [Task(lambda each=each: edited(*each)) for each in prepared]
    if error:
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
    try:
        Executor().run(tasks)
    finally:
        if error:
            torch.cuda.set_sync_debug_mode("default")
    for task in tasks:
        if task.error:
            raise task.error
    return [task.result for task in tasks]
