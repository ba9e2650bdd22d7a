"""Nobody else batches the stages of different edits: it has to be cheap, and it must not show."""

from __future__ import annotations

import gc
import time
import weakref
from functools import cached_property
from types import SimpleNamespace

import pytest
import torch

from retouch.core.denoiser import Denoiser
from retouch.core.values import Canvas, Edit, Latents, Prompt
from retouch.models import catalog
from retouch.run import waves
from retouch.run.batching import Buckets
from retouch.run.executor import Executor
from retouch.run.files.outbox import FileOut
from retouch.run.loaded.loaded_model import Machine
from retouch.run.session import execute
from retouch.run.settings import Settings
from retouch.run.task import Task
from retouch.run.waves import IN_FLIGHT
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample
from retouch_storybook.world import Scene
from tests.e2e.command import draw
from tests.e2e.sessions import INSTALLED, graphs, run

SUBJECTS = ("cat", "dog", "rabbit", "bear", "bird", "fish", "car", "ball")


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eight")
    scenes = [Scene(subject, "red", "in a meadow", seed=i) for i, subject in enumerate(SUBJECTS)]
    return [draw(folder / f"{scene.subject}.png", scene) for scene in scenes]


def made(outcome, family):
    """The tensor that a stage of this family made."""
    return next(value for node, value in outcome.values.items() if node.startswith(family)).data


@pytest.mark.thorough
@pytest.mark.parametrize("inversion", ["null_text inner_steps=1", pytest.param("ddim", marks=pytest.mark.bench)])
def test_eight_pictures_in_one_run_make_a_sixth_of_the_calls_of_eight_runs(inversion, eight, small, tmp_path):
    recipe = f'invert {inversion} | mask diffedit "red"->"blue" maps=2 | blend latent'
    together = run(recipe, eight, tmp_path, find_model=small, steps=2)
    apart = [run(recipe, [picture], tmp_path, find_model=small, steps=2) for picture in eight]
    assert 6 * together.denoiser_calls <= sum(result.denoiser_calls for result in apart)
    assert [o.rows for o in together.outcomes] == [result.outcomes[0].rows for result in apart]


@pytest.mark.thorough
def test_with_a_fixed_bucket_a_result_is_the_same_bits_alone_and_in_company(eight, tmp_path):
    recipe = 'invert null_text inner_steps=1 | attend p2p "red"->"blue" | mask diffedit maps=2 | blend latent'
    alone = run(recipe, eight[:1], tmp_path / "a", exact=True, steps=2)
    among = run(recipe, [eight[5], eight[0]], tmp_path / "b", exact=True, steps=2)
    mine, same = alone.outcomes[0], among.outcomes[1]
    assert torch.equal(made(mine, "sample"), made(same, "sample"))
    assert torch.equal(made(mine, "decode"), made(same, "decode"))


@pytest.mark.thorough
def test_a_picture_in_company_differs_by_rounding_only_in_fast_mode(eight, tmp_path):
    recipe = 'invert ddim | mask diffedit "red"->"blue" maps=3 | blend latent'
    alone = run(recipe, eight[:1], tmp_path / "a", steps=3)
    among = run(recipe, eight[:5], tmp_path / "b", steps=3)
    latents = [
        next(v for k, v in o.values.items() if k.startswith("sample")).data
        for o in (alone.outcomes[0], among.outcomes[0])
    ]
    assert torch.allclose(*latents, atol=1e-3)


STEPS, PICTURES = 3, 8


def same_work():
    """Latents of eight pictures, three prompts, the schedule and the network, for the executor and for a bare loop."""
    machine = Machine(catalog.find("storybook"), "cpu", torch.float32)
    draws = torch.Generator().manual_seed(0)
    latents = [torch.randn(4, 16, 16, generator=draws) for _ in range(PICTURES)]
    texts = [Prompt("", torch.randn(24, 128, generator=draws)) for _ in range(3)]
    return latents, texts, machine.schedule(STEPS, (16, 16)), machine.denoiser


def test_the_executor_makes_the_calls_of_a_bare_batched_loop_and_no_other():
    """The same network, the same rows, the same arithmetic: DDIM inversion and guided sampling of eight pictures."""
    latents, texts, schedule, model = same_work()
    asked = []
    heard = model.core.module.register_forward_pre_hook(lambda _, given: asked.append(len(given[0])))
    try:
        ends = _through_executor(latents, texts, schedule, model)
        ours = asked.copy()
        expected = _bare_loop(latents, texts, schedule, model)
    finally:
        heard.remove()
    assert torch.allclose(torch.stack(ends), expected, atol=2e-3)
    assert ours == asked[len(ours) :] == [PICTURES] * STEPS + [2 * PICTURES] * STEPS


@pytest.mark.bench
def test_the_executor_costs_a_tenth_at_most_over_a_bare_batched_loop():
    """In time, which is not to be trusted on a machine with other work."""
    latents, texts, schedule, model = same_work()
    ours, bare = [], []
    for _ in range(4):
        start = time.process_time()
        ends = _through_executor(latents, texts, schedule, model)
        middle = time.process_time()
        expected = _bare_loop(latents, texts, schedule, model)
        ours.append(middle - start)
        bare.append(time.process_time() - middle)
    assert torch.allclose(torch.stack(ends), expected, atol=2e-3)
    assert min(ours) <= 1.10 * min(bare)


def _through_executor(latents, texts, schedule, model: Denoiser):
    source, target, negative = texts
    edit, guide = Edit(source, target, negative), cfg(guidance=3.0)

    async def edited(x):
        start = Latents(x, Canvas(64, 64, 4))
        path = await ddim(start, source, negative, model, schedule)
        return (await sample(path, start, edit, model, guide)).data

    tasks = [Task(lambda x=x: edited(x)) for x in latents]
    Executor(Buckets()).run(tasks)
    return [task.result for task in tasks]


@torch.no_grad()
def _bare_loop(latents, texts, schedule, model: Denoiser):
    source, target, negative = (text.embeds.expand(PICTURES, -1, -1) for text in texts)
    unet, x = model.core.module, torch.stack(latents)

    def split(x, level, timestep, context):
        v = unet(x, torch.full((len(x),), timestep), encoder_hidden_states=context, return_dict=False)[0]
        return level.alpha * x - level.sigma * v, level.alpha * v + level.sigma * x

    for step in schedule.ascending():
        eps = split(x, step.noisy, float(step.noisy.timestep), source)[1]
        x = step.noisy.mix((x - step.clean.sigma * eps) / step.clean.alpha, eps)
    for step in schedule:
        both = torch.cat([negative, target])
        x0, eps = split(torch.cat([x, x]), step.noisy, float(step.noisy.timestep), both)
        (x0_u, x0_c), (eps_u, eps_c) = x0.chunk(2), eps.chunk(2)
        x = step.clean.mix(torch.lerp(x0_u, x0_c, 3.0), torch.lerp(eps_u, eps_c, 3.0))
    return x


@pytest.mark.thorough
def test_more_pictures_than_are_in_flight_all_come_back(small, tmp_path):
    scenes = [Scene(SUBJECTS[i % 8], "red", "at night", seed=i) for i in range(IN_FLIGHT + 3)]
    pictures = [draw(tmp_path / f"{i}.png", scene) for i, scene in enumerate(scenes)]
    result = run('invert ddim "red"->"blue"', pictures, tmp_path / "out", find_model=small, steps=1)
    assert len({path for outcome in result.outcomes for path in outcome.files}) == len(scenes)
    assert result.denoiser_calls == (1 + 2) + (1 + 1)  # 32 rows inverted, 64 sampled; then 3 and 6


@pytest.fixture
def alive(monkeypatch):
    """Prompts that are held at the time of each save, and how many were made by then."""
    made, counts = [], []
    encode, write = Machine.texts.fget, FileOut.image

    def told(self, path, image, **how):
        gc.collect()
        counts.append((sum(each() is not None for each in made), len(made)))
        write(self, path, image, **how)

    def watched(machine):
        texts = encode(machine)
        prompt = texts.prompt

        async def watching(text):
            found = await prompt(text)
            made.append(weakref.ref(found.embeds))
            return found

        return SimpleNamespace(prompt=watching, heard=texts.heard)

    watching = cached_property(watched)
    watching.__set_name__(Machine, "texts")
    monkeypatch.setattr(Machine, "texts", watching)
    monkeypatch.setattr(FileOut, "image", told)
    monkeypatch.setattr(waves, "IN_FLIGHT", 2)
    return counts


@pytest.mark.thorough
def test_prompts_belong_to_their_wave(tmp_path, alive):
    """Those of later pictures are not encoded before the first is saved; those of pictures that are done are gone."""
    scenes = [Scene(SUBJECTS[i], "red", "at night", seed=i) for i in range(6)]
    pictures = [draw(tmp_path / f"{i}.png", scene) for i, scene in enumerate(scenes)]
    execute(
        graphs('invert ddim "red"->"blue" negative="ugly"', pictures, tmp_path / "out", steps=1),
        registry=INSTALLED,
        settings=Settings(),
        keep=False,
    )
    mine = 2 * 2 * 2 + 1  # two pictures' sources and targets, each alone and in an edit, and the shared negative
    assert [held <= mine for held, _ in alive] == [True] * 6
    assert alive[0][1] < alive[2][1] < alive[4][1]


@pytest.mark.thorough
def test_a_prompt_is_not_kept_for_a_picture_that_comes_much_later(tmp_path, alive):
    """The fifth and sixth picture say what the first and second said, two waves before; their prompts are made anew."""
    scenes = [Scene(SUBJECTS[i % 4], "red", "at night", seed=i) for i in range(6)]
    pictures = [draw(tmp_path / f"{i}.png", scene) for i, scene in enumerate(scenes)]
    done = execute(
        graphs('invert ddim "red"->"blue" negative="ugly"', pictures, tmp_path / "out", steps=1),
        registry=INSTALLED,
        settings=Settings(),
        keep=False,
    )
    assert not any(each.failures for each in done.outcomes)
    assert [held <= 2 * 2 * 2 + 1 for held, _ in alive] == [True] * 6
    assert alive[2][1] < alive[4][1]


@pytest.mark.thorough
def test_every_picture_is_given_the_values_of_what_they_share(tmp_path):
    pictures = [draw(tmp_path / f"{i}.png", Scene(SUBJECTS[i], "red", "at night", seed=i)) for i in range(2)]
    flows = graphs('invert sdedit "red"->"blue" | guide image_text', pictures, tmp_path / "out", steps=2)
    first, second = execute(flows, registry=INSTALLED, settings=Settings()).outcomes
    made = {node.id for node in flows[0].nodes if node.card.output}
    assert any(id_.startswith("eye") for id_ in made)
    assert made <= first.values.keys() & second.values.keys()
