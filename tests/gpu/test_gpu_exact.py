"""On the device too a result is the same bits alone, in company, and the next time; graphs replay the same kernels."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.run.batching import Buckets
from retouch.run.executor import run
from retouch.testing.worlds import World
from retouch_methods.guide.pix2pix_zero import pix2pix_zero
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.null_text import null_text
from retouch_methods.mask.diffedit import diffedit
from tests.gpu.device import far, world
from tests.laws.by_hand import by_words, edited, masactrl, p2p, pag, pnp

pytestmark = pytest.mark.gpu
WAYS = {
    "eager": EAGER,
    "graphs": Acceleration(graphs=True),
    "graphs and channels last": Acceleration(graphs=True, channels_last=True),
}
EXACT, FAST = Buckets(fixed=16), Buckets()


async def edited_by_gradients(world: World):
    """A picture edited under a guidance that asks for gradients."""
    return await edited(world, guidance=await world.call(pix2pix_zero))


JOBS = {
    "ddim inversion": lambda here: here.call(ddim),
    "p2p, cfg and a blend by words": lambda here: edited(here, (p2p(),), (by_words(),)),
    "masactrl": lambda here: edited(here, (masactrl(),)),
    "features": lambda here: edited(here, (pnp(),)),
    "p2p over perturbed attention": lambda here: edited(here, (p2p(),), guidance=pag()),
    "edict": lambda here: here.call(edict),
    "edit-friendly": lambda here: here.call(edit_friendly),
    "null-text": lambda here: here.call(null_text, inner_steps=2),
    "pix2pix-zero": edited_by_gradients,
    "diffedit": lambda here: here.call(diffedit, maps=2),
}


def job(name: str, way: str, picture: int = 0) -> Coroutine[Any, Any, Any]:
    """One job on one picture."""
    return JOBS[name](world(acceleration=WAYS[way]).neighbour(10 * list(JOBS).index(name) + picture))


def tensor(result: Any) -> Tensor:
    """What a job gives."""
    return getattr(result, "data", None) if hasattr(result, "data") else result.states


@cache
def alone(name: str, way: str) -> Tensor:
    """One job, by itself."""
    return tensor(run(job(name, way), buckets=EXACT)[0])


@cache
def in_company(way: str, seed: int = 0) -> dict[str, Tensor]:
    """All jobs at once, each beside another of its kind, in a drawn order."""
    crowd = [(name, picture) for name in JOBS for picture in range(2)]
    random.Random(seed).shuffle(crowd)
    results = run(*(job(name, way, picture) for name, picture in crowd), buckets=EXACT)
    return {name: tensor(result) for (name, picture), result in zip(crowd, results, strict=True) if not picture}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", JOBS)
def test_a_job_gives_the_same_bits_alone_and_among_all_kinds_of_others(name, way):
    assert torch.equal(alone(name, way), in_company(way)[name])


@pytest.mark.parametrize("name", JOBS)
def test_a_replayed_graph_gives_the_bits_of_its_kernels(name):
    assert torch.equal(in_company("graphs")[name], in_company("eager")[name])


@pytest.mark.parametrize("name", JOBS)
def test_another_order_of_channels_in_memory_changes_no_more_than_rounding(name):
    found, wanted = in_company("graphs and channels last")[name], in_company("eager")[name]
    missed = float((found != wanted).double().mean()) if name == "diffedit" else far(found, wanted)
    assert missed <= (0.05 if name == "diffedit" else 1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_command_gives_the_same_bits_twice_in_the_fast_mode(way):
    once, again = (run(*(job(name, way) for name in JOBS), buckets=FAST) for _ in range(2))
    for name, one, two in zip(JOBS, once, again, strict=True):
        assert torch.equal(tensor(one), tensor(two)), name


def test_company_changes_no_more_than_rounding_in_the_fast_mode():
    together = run(*(job(name, "eager") for name in JOBS), buckets=FAST)
    for name, result in zip(JOBS, together, strict=True):
        if name != "diffedit":
            assert far(tensor(result), alone(name, "eager")) <= 1e-4, name
