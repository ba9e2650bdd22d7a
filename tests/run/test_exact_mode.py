"""With one fixed bucket, a result is the same bits alone, among others, and in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from retouch.api import gather, together
from retouch.graph.limits import EXACT_ROWS
from retouch.run.batching import Buckets
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.laws import batch_law
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.null_text import null_text
from retouch_methods.mask.diffedit import diffedit
from tests.laws.by_hand import by_words, edited, masactrl, p2p, pag, pnp

EXACT = Buckets(fixed=EXACT_ROWS)
WORLD = replace(tiny_world(steps=4), guidance=cfg(guidance=3.0))


def neighbour(i: int) -> World:
    return WORLD.neighbour(i + 1)


JOBS = {
    "ddim inversion": lambda i: neighbour(i).call(ddim),
    "p2p, cfg and a blend by words": lambda i: edited(neighbour(i), (p2p(),), (by_words(),)),
    "masactrl": lambda i: edited(neighbour(i), (masactrl(),)),
    "features": lambda i: edited(neighbour(i), (pnp(),)),
    "p2p over perturbed attention": lambda i: edited(neighbour(i), (p2p(),), guidance=pag()),
    "edict": lambda i: neighbour(i).call(edict),
    "edit-friendly": lambda i: neighbour(i).call(edit_friendly),
    "null-text": lambda i: neighbour(i).call(null_text, inner_steps=2),
    "diffedit": lambda i: neighbour(i).call(diffedit, maps=2),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_gives_the_same_bits_alone_and_among_other_kinds(name):
    """Among the next four in a ring of nine, so that any two have met when all have been tested."""
    place = list(JOBS).index(name)
    others = list(JOBS.values())[place + 1 :] + list(JOBS.values())[:place]
    batch_law(JOBS[name], company=others[: len(JOBS) // 2], buckets=EXACT, count=1, seed=7)


@pytest.mark.bench
@pytest.mark.parametrize("name", JOBS)
def test_so_it_does_among_all_kinds_of_others(name):
    others = [job for other, job in JOBS.items() if other != name]
    batch_law(JOBS[name], company=others, buckets=EXACT, count=1, seed=7)


def test_a_picture_gives_the_same_bits_beside_its_own_kind_in_any_order():
    for seed in range(2):
        batch_law(JOBS["p2p, cfg and a blend by words"], buckets=EXACT, count=4, seed=seed)


@pytest.mark.thorough
def test_a_call_is_of_one_size_whatever_waits():
    executor = Executor(EXACT)
    executor.run([Task(lambda job=job, i=i: job(i)) for i in range(2) for job in JOBS.values()])
    sizes = {info.kind: {call.bucket for call in executor.calls if call.kind == info.kind} for info in executor.calls}
    assert sizes.pop("backward") <= {1, 2}
    assert sizes == {"denoise": {EXACT_ROWS}, "gradient": {EXACT_ROWS}}


@pytest.mark.thorough
def test_a_job_that_is_repeated_gives_the_same_bits_in_the_fast_mode_too():
    works = [JOBS["p2p, cfg and a blend by words"], JOBS["null-text"], JOBS["diffedit"]]
    once, again = (run(*(work(i) for work in works for i in range(2))) for _ in range(2))
    for one, two in zip(once, again, strict=True):
        for name in ("data", "states"):
            if hasattr(one, name):
                assert torch.equal(getattr(one, name), getattr(two, name))


def test_in_the_fast_mode_company_changes_no_more_than_rounding():
    batch_law(JOBS["p2p, cfg and a blend by words"], company=[JOBS["edict"]], buckets=Buckets(), tolerance=1e-3)


def test_a_group_larger_than_the_bucket_gives_the_same_bits_in_any_company():
    def wide(i):
        async def ask():
            x, step = neighbour(i).latents.data, WORLD.schedule.steps[0]
            model = WORLD.model
            branch = {
                name: gather([model(x + n, step.noisy, prompt) for n in range(10)])
                for name, prompt in (("source", WORLD.edit.source), ("target", WORLD.edit.target))
            }
            found = await together(attention=(p2p(),), step=step, **branch)
            return [pred.pair for pred in found["target"]]

        return ask()

    batch_law(wide, company=[JOBS["ddim inversion"]], buckets=EXACT)


@pytest.mark.parametrize("asked", ["matmul", "all"])
def test_float32_is_float32_whatever_a_script_wants_of_its_own(asked):
    """TF32 and bfloat16 in its place would be other bits, of which no stamp says anything."""
    backends: Any = torch.backends
    kinds = [backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv]

    def told() -> list[str]:
        return [kind.fp32_precision for kind in kinds]

    usual, generic = told(), backends.fp32_precision
    try:
        if asked == "matmul":
            torch.set_float32_matmul_precision("medium")
        else:
            backends.fp32_precision = "tf32"
        wanted = told()
        assert wanted != usual
        Executor().run([task := Task(told)])
        assert task.result == ["ieee"] * 4
        assert told() == wanted
    finally:
        if asked == "matmul":
            torch.set_float32_matmul_precision("highest")
        else:
            backends.fp32_precision = generic
        for kind, precision in zip(kinds, usual, strict=True):
            kind.fp32_precision = precision
