"""Schedules, solvers and tunings stand in for what the engine supplies, in their turn, for what follows them."""

from __future__ import annotations

import pytest

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import FromEngine, Picture
from retouch.graph.plan import plan
from retouch.paths import folder
from retouch.plugins import registry
from tests.graph.verify import verify

INSTALLED = registry.load()
CAT = Picture(folder("recipes") / "pictures" / "cat_meadow.png", 0, "an orange cat in a meadow")
EDIT = '"cat"->"dog"'


def checked(text: str, **settings: str):
    return check(f'{text} | save "out.png"', Environment(INSTALLED, folder("recipes"), (CAT,), settings))


def codes(text: str, **settings: str) -> list[str]:
    return [item.code for item in checked(text, **settings).diagnostics]


def graph(text: str, **settings: str):
    found = checked(text, **settings)
    assert not found.diagnostics, [item.message for item in found.diagnostics]
    (only,) = found.graphs
    verify(only)
    return only


def fed(made, stage: str, port: str, which: int = 0) -> str:
    """The stage that feeds a port; "engine" if none does."""
    node = [each for each in made.nodes if each.card.name == stage][which]
    edge = node.inputs[port]
    return "engine" if isinstance(edge, FromEngine) else made.node(edge.id).card.name


def test_what_follows_walks_the_schedule_masks_and_inversions_alike():
    made = graph(f"schedule karras steps=9 | invert ddim {EDIT} | mask diffedit | blend latent | solver heun")
    assert fed(made, "invert ddim", "schedule") == "schedule karras"
    assert fed(made, "mask diffedit", "schedule") == "schedule karras"
    assert fed(made, "schedule karras", "schedule") == "engine"
    assert fed(made, "sample walk", "solver") == "solver heun"
    priced = plan(made)
    named = {node.card.name: node.id for node in made.nodes}
    assert priced.rows[named["invert ddim"]] == (9, 9)
    assert priced.rows[named["sample walk"]] == (36, 36)


@pytest.mark.parametrize(
    "text",
    [
        f"schedule karras steps=7 | invert ddim {EDIT}",
        f"schedule karras | invert ddim {EDIT} steps=7",
        f"schedule karras | invert null_text {EDIT} steps=7",
    ],
)
def test_the_steps_of_the_turn_are_said_on_any_of_its_stages(text):
    made = graph(text)
    (inversion,) = (node.id for node in made.nodes if node.card.family == "invert")
    assert plan(made).facts[inversion].get("steps") == 7


def test_listed_levels_are_the_steps_and_another_number_is_refused():
    made = graph(f"schedule levels at=[900, 500, 100] | invert ddim {EDIT}")
    assert plan(made).facts["invert.ddim#1"]["steps"] == 3
    assert codes(f"schedule levels at=[900, 500, 100] | invert ddim {EDIT} steps=20") == ["RT323"]
    assert codes(f"schedule levels at=[900, 500, 100] | invert ddim {EDIT}", steps="20") == ["RT323"]
    assert not codes(f"schedule levels at=[900, 500, 100] | invert ddim {EDIT} steps=3")
    assert codes(f"schedule levels at=[100, 900] | invert ddim {EDIT}") == ["RT226"]
    assert "RT226" in codes(f"schedule levels at=[] | invert ddim {EDIT}")
    assert codes(f"schedule levels at=[1000, 500] | invert ddim {EDIT}") == ["RT226"]  # it has 0 to 999
    assert not codes(f"schedule levels at=[999, 500] | invert ddim {EDIT}")


def test_windows_and_strength_are_of_the_levels_that_are_listed():
    half = f"schedule levels at=[900, 500, 300, 100] | invert ddim {EDIT} strength="
    made = graph(f"{half}50% | attend p2p")
    assert plan(made).facts["invert.ddim#1"]["steps"] == 2
    assert codes(f"{half}10%") == ["RT312"]
    assert codes(f"{half}50% | attend masactrl start=60%") == ["RT315"]


def test_two_schedules_are_one_too_many_and_one_behind_its_readers_is_told():
    assert codes(f"schedule karras | schedule exponential | invert ddim {EDIT}") == ["RT302"]
    for late in (f"invert ddim {EDIT} | schedule karras", f"invert ddim {EDIT} | sample | schedule karras"):
        (told,) = checked(late).diagnostics
        assert told.code == "RT221"
        assert "before the stages that are to use it" in told.help


def test_a_schedule_right_before_a_second_inversion_is_of_that_turn():
    made = graph(f'invert ddim {EDIT} | schedule karras | invert sdedit "meadow"->"beach"')
    assert fed(made, "invert ddim", "schedule") == "engine"
    assert fed(made, "invert sdedit", "schedule") == "schedule karras"
    assert "solver" not in next(node for node in made.nodes if node.card.family == "sample").inputs


def test_at_the_end_of_its_turn_it_is_gone():
    made = graph(f'schedule karras | invert ddim {EDIT} | solver heun | sample | invert ddim "meadow"->"beach"')
    assert fed(made, "invert ddim", "schedule", 1) == "engine"
    samples = [node for node in made.nodes if node.card.family == "sample"]
    assert ["solver" in node.inputs for node in samples] == [True, False]


ANY = ("ddim", "negative_prompt", "direct", "sdedit", "pnp_inversion")
DDIM = ("null_text", "fixed_point", "uniinv")
NONE = ("edict", "edit_friendly", "cycle_diffusion", "flowedit")


@pytest.mark.thorough
def test_every_inversion_says_which_solvers_may_walk_it():
    flow = {"fireflow", "rf_inversion", "rf_solver"}  # their own rules; RT320 comes first here
    assert {*ANY, *DDIM, *NONE} | flow == set(INSTALLED.methods("invert"))
    for solver in INSTALLED.methods("solver"):
        for name in (*ANY, *DDIM, *NONE):
            may = name in ANY or (name in DDIM and solver == "ddim")
            found = codes(f"invert {name} {EDIT} steps=20 | solver {solver}")
            assert found == ([] if may else ["RT322"]), (name, solver)


@pytest.mark.parametrize("how", ["sdedit EDIT eta=0.5", 'pnp_inversion EDIT edited="offset"'])
def test_what_an_option_records_is_no_other_rules(how):
    assert codes(f"invert {how.replace('EDIT', EDIT)} | solver heun") == ["RT322"]


def test_requirements_pass_on_who_may_walk_and_measure_what_will_be_walked():
    assert codes(f"invert edict {EDIT} steps=20 | require psnr | solver heun") == ["RT322"]
    made = graph(f"invert ddim {EDIT} steps=20 | solver heun | require cycle")
    assert fed(made, "require cycle", "solver") == "solver heun"
    assert plan(made).rows["require.cycle#1"] == (80, 80)
    assert codes(
        "def a() = invert ddim | require psnr\\ndef b() = invert null_text\\n".replace("\\n", "\n")
        + f"open | first(a(), b()) | attend p2p {EDIT} | solver heun"
    ) == ["RT322"]


def test_a_kind_of_model_that_a_schedule_is_not_for_is_refused():
    assert codes(f"schedule shift | invert ddim {EDIT}") == ["RT320"]


def test_a_schedule_is_of_the_model_that_it_was_made_from():
    assert codes(f'schedule karras | model "storybook128" | invert ddim {EDIT}') == ["RT303"]
