"""Tuned weights as files: written once, read by later runs, mixed along the walk, refused on another network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from retouch.api import Denoiser, MixedDenoiser, ModelDelta
from retouch.core.tuned.weights_file import BASE, KIND, WEIGHTS
from retouch.models import catalog
from retouch.models.tuned_weights import network_digest
from retouch.run.executor import run
from retouch.run.loaded.loaded_model import Machine
from retouch.testing.worlds import tiny_world
from tests.e2e.command import draw, retouch
from tests.models.tuning_runs import pixels, ran

pytestmark = pytest.mark.usefixtures("two_rows")

TUNE = 'tune diffusionclip source="a drawing" target="a pencil sketch" rounds=1 inversion_steps=3 tuning_steps=2'
LEARN = f'{TUNE} lr=1e-4 variant="efficient" pictures="train/*.png"'


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(catalog.find("storybook"), "cpu", torch.float32)


@pytest.fixture(scope="module")
def folder(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tuned")
    (place / "train").mkdir()
    for name in ("train/one", "train/two", "three", "four"):
        draw(place / f"{name}.png")
    done = retouch("run", "-e", f'{LEARN} | save weights "ink.safetensors"', "--json", folder=place)
    assert done.code == 0, done.out + done.err
    assert done.event("done")["rows"] == 2 * (2 + 2)
    name = "conv_out.weight"
    base = machine.denoiser.core.base[name]
    said = {KIND: WEIGHTS, BASE: machine.denoiser.digest}
    save_file({name: base * 1.5}, place / "out.safetensors", said)
    save_file({f"{name}.up": torch.ones(4, 1), f"{name}.down": torch.ones(1, 576) / 9}, place / "low.safetensors", said)
    save_file({name: base * 1.5}, place / "foreign.safetensors", said | {BASE: "0" * 32})
    save_file({name: base * 1.5}, place / "bare.safetensors")
    save_file({"conv_in.weight": base}, place / "shape.safetensors", said)
    save_file({"conv_nowhere.weight": base}, place / "name.safetensors", said)
    save_file({f"{name}.up": torch.ones(4, 1)}, place / "half.safetensors", said)
    return place


@pytest.mark.thorough
def test_a_file_has_all_that_was_tuned_and_says_of_which_network_and_how(folder: Path, machine: Machine) -> None:
    tensors = load_file(folder / "ink.safetensors")
    assert tensors.keys() == machine.denoiser.core.base.keys()
    assert any(not torch.equal(tensors[name], weight) for name, weight in machine.denoiser.core.base.items())
    told = json.loads(retouch("show", "ink.safetensors", "--json", folder=folder).out)
    assert "train/one.png" in json.dumps(told["inputs"]) or "one.png" in json.dumps(told["inputs"])
    assert machine.denoiser.digest == network_digest(machine.info)


@pytest.mark.thorough
def test_what_is_read_is_what_was_tuned_bit_for_bit(folder: Path) -> None:
    walk = 'invert ddim steps=2 | guide cfg guidance=1 | save "{}.png"'
    read = f'open "three.png" | tune weights "exact.safetensors" | {walk.format("read")}'
    learnt = f'{LEARN} | save weights "exact.safetensors"'
    ran(learnt, folder, "--exact")  # elsewhere company may change the last bit, and a learning's steps make much of one
    ran(f'open "three.png" | {LEARN} | {walk.format("fresh")}\n{read}', folder, "--exact")
    ran(f'open "three.png" | {walk.format("plain")}\n{read}', folder, "--exact")
    ran(f'open "three.png" | {walk.format("alone")}', folder, "--exact")
    fresh, again, plain, alone = (pixels(folder / f"{name}.png") for name in ("fresh", "read", "plain", "alone"))
    assert (fresh == again).all()
    assert abs(fresh - plain).max() > 1
    assert (alone == plain).all()  # what runs beside a tuning is as if it did not


@pytest.mark.thorough
def test_pictures_of_a_run_share_one_tuning_over_a_folder_and_not_one_on_each(folder: Path) -> None:
    walk = 'invert ddim steps=2 | guide cfg guidance=1 | save "{name}-out.png"'
    pictures = ("three.png", "four.png", "-o", "shared")
    assert ran(f"{LEARN} | {walk}", folder, *pictures)["rows"] == 2 * (2 + 2) + 2 * 4
    assert ran(f'{TUNE} variant="efficient" | {walk}', folder, *pictures)["rows"] == 2 * (2 + 2) + 2 * 4


@pytest.mark.thorough
def test_rows_of_a_mix_are_what_the_plan_says(folder: Path) -> None:
    recipe = (
        'open "three.png" | invert ddim steps=2 | guide cfg guidance=2 | '
        'tune weights "ink.safetensors" ratio=0.5 | tune weights "out.safetensors" ratio=0.25 {}| save "mix.png"'
    )
    plan = json.loads(retouch("plan", "-e", recipe.format(""), "--json", folder=folder).out)
    assert json.dumps(plan).count('"rows"')
    assert ran(recipe.format(""), folder)["rows"] == 2 + 2 * 2 * 3
    assert ran(recipe.format("start=0.5 "), folder)["rows"] == 2 + 2 * 2 + 2 * 3
    shown = retouch("plan", "-e", recipe.format(""), folder=folder).out
    assert "in all: 14 rows" in shown, shown
    assert "in all: 10 to 14 rows" in retouch("plan", "-e", recipe.format("start=0.5 "), folder=folder).out


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("foreign", "another network"),
        ("bare", "no file that 'save weights' wrote"),
        ("shape", "and the network's is"),
        ("name", "the network has no conv_nowhere.weight"),
        ("half", "has one half of two"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_loads(folder: Path, file: str, what: str) -> None:
    recipe = f'open "three.png" | tune weights "{file}.safetensors" | invert ddim'
    done = retouch("check", "-e", recipe, folder=folder)
    assert done.code == 1
    assert "RT455" in done.err + done.out
    assert what in done.err + done.out
    assert f'"{file}.safetensors"' in done.err + done.out


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        ('save weights "x.safetensors"', "RT456"),
        ('tune weights "out.safetensors" ratio=0.5 | save weights "x.safetensors"', "RT456"),
        ('open "three.png" | tune weights "out.safetensors" | tune weights "ink.safetensors" | invert ddim', "RT457"),
        (f'{TUNE} pictures="none/*.png" | save weights "x.safetensors"', "RT401"),
        (f'{TUNE} pictures="../*.png" | save weights "x.safetensors"', "RT40"),
        (f'{LEARN} identity=1 | save weights "x.safetensors"', "RT226"),
    ],
)
def test_what_cannot_be_meant_has_a_code(folder: Path, recipe: str, code: str) -> None:
    done = retouch("check", "-e", recipe, folder=folder)
    assert done.code == 1, done.out + done.err
    assert code in done.out + done.err


def test_low_rank_weights_come_back(machine: Machine, folder: Path) -> None:
    delta = machine.tuning(str(folder / "low.safetensors"))
    assert not delta.weights
    assert [up.shape for up, _ in delta.low_rank.values()] == [(4, 1)]


class TestMixing:
    """ratio * this + (1 - ratio) * that, as the authors' model_ratio and hybrid noise."""

    world = tiny_world(steps=4)
    base = world.model
    name = "conv_out.weight"

    def tuned(self, factor: float) -> Denoiser:
        return self.base.tuned(ModelDelta({self.name: self.base.core.base[self.name] * factor}))

    def said(self, model: Denoiser, step: int) -> torch.Tensor:
        level = self.world.schedule.steps[step].noisy
        return run(model(self.world.latents.data, level, self.world.edit.target))[0].pair

    def test_it_is_the_authors_table_of_thresholds_and_weights(self):
        """{300: [1, 0], 0: [0.3, 0.7]}: from timestep 300 up the first alone, below both."""
        one, two = self.tuned(1.5), self.tuned(0.5)
        first = [step.noisy.timestep >= 300 for step in self.world.schedule].index(False)
        start = self.world.schedule.steps[first].progress
        mix = MixedDenoiser(two.core, two.delta, one, 0.7, start)
        for i, step in enumerate(self.world.schedule):
            shares = {300: (1.0, 0.0), 0: (0.3, 0.7)}[300 if step.noisy.timestep >= 300 else 0]
            expected = shares[0] * self.said(one, i) + shares[1] * self.said(two, i)
            torch.testing.assert_close(self.said(mix, i), expected, rtol=0, atol=1e-5)

    def test_only_what_counts_is_asked_and_three_add_up(self):
        one, two = self.tuned(1.5), self.tuned(0.5)
        inner = MixedDenoiser(one.core, one.delta, self.base, 0.5)
        mix = MixedDenoiser(two.core, two.delta, inner, 0.25)
        level = self.world.schedule.steps[0].noisy
        assert [share for _, share in mix.shares(level)] == [0.375, 0.375, 0.25]
        assert len(replace(mix, ratio=0.0).shares(level)) == 2
        assert len(replace(mix, ratio=1.0).shares(level)) == 1
        expected = 0.375 * self.said(self.base, 0) + 0.375 * self.said(one, 0) + 0.25 * self.said(two, 0)
        torch.testing.assert_close(self.said(mix, 0), expected, rtol=0, atol=1e-5)

    def test_what_two_tunings_change_adds_up(self):
        one, two = self.tuned(1.5), self.tuned(0.5)
        mix = MixedDenoiser(two.core, two.delta, one, 0.75, base=self.base)
        expected = self.said(one, 0) + 0.75 * (self.said(two, 0) - self.said(self.base, 0))
        torch.testing.assert_close(self.said(mix, 0), expected, rtol=0, atol=1e-5)
        level = self.world.schedule.steps[0].noisy
        assert len(mix.shares(level)) == 3
        third = MixedDenoiser(one.core, one.delta, mix, 1.0, base=self.base)
        assert len(third.shares(level)) == 3  # the first stands in it twice, and is asked once
        alone = MixedDenoiser(two.core, two.delta, self.base, 1.0, base=self.base)
        assert [share for _, share in alone.shares(level)] == [1.0]

    def test_sums_of_weights_keep_what_either_changes(self):
        base = self.base.core.base
        one, other = "conv_out.weight", "conv_in.weight"
        first = ModelDelta(
            {one: base[one] + 1}, {other: (torch.ones(len(base[other]), 1), torch.ones(1, base[other][0].numel()))}
        )
        second = ModelDelta({one: base[one] + 4, other: base[other] - 2})
        both = first.plus(second, base, 0.5).over(base)
        torch.testing.assert_close(both[one], base[one] + 1 + 2)
        torch.testing.assert_close(both[other], base[other] + 1 - 1)
        low = ModelDelta().plus(first, base, 2.0).over(base)
        torch.testing.assert_close(low[other], base[other] + 2)


@pytest.mark.thorough
def test_two_tunings_act_at_once_whichever_way_they_are_joined(folder: Path) -> None:
    recipe = (
        'open "three.png" | invert ddim steps=3 | guide cfg guidance=1 | tune weights "ink.safetensors" '
        '| tune weights "out.safetensors" ratio=0.5 mix="{}" | save "{}.png"'
    )
    rows = {mix: ran(recipe.format(mix, mix), folder)["rows"] for mix in ("changes", "weights")}
    assert rows == {"changes": 3 + 3 * 3, "weights": 3 + 3}
    alone, _ = recipe.format("shares", "alone").split('| tune weights "out')
    ran(f'{alone} | save "alone.png"', folder)
    for mix in rows:
        assert (pixels(folder / f"{mix}.png") != pixels(folder / "alone.png")).any()
        plan = retouch("plan", "-e", recipe.format(mix, mix), folder=folder).out
        assert "in all: 12 rows" in plan or "in all: 9 to 12 rows" in plan or "in all: 6 rows" in plan, plan
    done = retouch(
        "check", "-e", recipe.format("weights", "x").replace("ratio=0.5", "ratio=0.5 start=0.3"), folder=folder
    )
    assert "RT226" in done.out + done.err
