"""Plugins that do everything wrong, through the command line: each is named, and nobody else notices."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from retouch.api.models import find_model
from retouch.run.strangers.watchdog import Watchdog
from tests.e2e.command import Ran, draw, in_warm_process, retouch
from tests.faulty import faults
from tests.faulty.faults import BLEND, FINE, GUIDE, HEAD, INVERT, MASK, Fault, mask
from tests.faulty.installing import NEIGHBOURS, install, run
from tests.faulty.misread import CARDS, READ
from tests.faulty.wild import WILD

RUNNING = [*faults.RUNNING, *WILD]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """All of them in one environment and one command, a process of its own to its very end, with the neighbours."""
    folder = tmp_path_factory.mktemp("together")
    draw(folder / "cat.png")
    for fault in RUNNING:
        install(folder, fault.name, HEAD + fault.source)
    for name, (source, _) in READ.items():
        install(folder, f"read_{name}", source if "import *" in source else HEAD + source)
    install(folder, "family", FAMILY)
    faulty_model(folder / "model")
    flows = [*(fault.flow for fault in RUNNING), NEIGHBOURS, FAMILY_FLOW]
    (folder / "all.retouch").write_text("\n".join(flows))
    command = ("run", "all.retouch", "--exact", "--stamp", "none", "--no-store")
    return in_warm_process(*command, folder=folder, env={"PYTHONPATH": str(folder)}, timeout=1200), folder


# A family of models whose network goes to another folder, and then cannot be asked; and what is left for the end.
FAMILY = """
import atexit, os
from retouch import hookimpl
from retouch_models.stable_diffusion import StableDiffusion
class Faulty(StableDiffusion):
    name = "Faulty"
    def load(self, known, parts):
        made = super().load(known, parts)
        def forward(ask, rows):
            os.chdir("/")
            raise SystemExit(5)
        made.net.forward = forward
        return made
FAMILY = Faulty()
atexit.register(lambda: os._exit(7))
@hookimpl
def retouch_families():
    return {"FaultyPipeline": "f_family:FAMILY"}
"""
FAMILY_FLOW = 'open "cat.png" | model "model/" | invert ddim "cat"->"dog" steps=2 | save "family.png"'


def faulty_model(folder: Path) -> None:
    """The embedded model under another class of pipeline."""
    embedded = find_model("storybook").folder
    folder.mkdir()
    for each in embedded.iterdir():
        if each.name != "model_index.json":
            (folder / each.name).symlink_to(each)
    index = json.loads((embedded / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "FaultyPipeline"}))


def test_there_are_enough() -> None:
    assert len(RUNNING) + len(READ) >= 60


@pytest.mark.thorough
def test_none_ends_the_run_or_changes_a_byte_of_a_neighbour(
    together: tuple[Ran, Path], alone: dict[str, bytes]
) -> None:
    done, folder = together
    assert done.code == 3, done.err  # whatever is done at exit; a signal would be below zero
    for name, before in alone.items():
        assert (folder / name).read_bytes() == before
    assert "the family 'Faulty' of 'f_family' is at fault: its forward() raises SystemExit: 5" in done.err
    assert "the family 'Faulty' of 'f_family' changed the folder that the process is in" in done.err
    assert {name for name in READ if f"f_read_{name}" not in done.err} == set()


@pytest.mark.thorough
@pytest.mark.parametrize("fault", RUNNING, ids=lambda fault: fault.name)
def test_it_is_named_and_fails_alone(fault: Fault, together: tuple[Ran, Path]) -> None:
    done, folder = together
    assert fault.said in done.err
    assert (folder / f"{fault.name}.png").exists() != fault.fails
    assert "Traceback" not in done.err


@pytest.mark.thorough
def test_broken_promises_have_codes(together: tuple[Ran, Path]) -> None:
    """A wrong result, a write into what is shared, a write past a touch; RT516, put back, is a warning without one."""
    assert {"RT515", "RT517", "RT518"} <= set(re.findall(r"RT\d{3}", together[0].err))


def test_what_is_printed_leaves_the_answer_whole(site: Path, tmp_path: Path) -> None:
    draw(tmp_path / "cat.png")
    (fault,) = (each for each in RUNNING if each.name == "speaks")
    install(site, "talks", f"print('at import')\n{HEAD}{fault.source.replace('speaks', 'talks')}")
    done = run(tmp_path, MASK.format(name="talks"), "--json")
    assert done.code == 0, done.err
    assert len(done.events) == len(done.out.splitlines())
    assert [line for line in done.err.splitlines() if line.startswith("f_talks: ")] == [
        "f_talks: at import",
        "f_talks: one",
        "f_talks: two",
    ]


def test_what_fails_behind_a_size_that_no_stage_states_is_told_of_the_one_that_made_it(
    site: Path, tmp_path: Path
) -> None:
    larger = "Image(F.interpolate(image.data[None], scale_factor=2)[0])"
    body = f'def larger(image: Image) -> Image:\n    """X."""\n    return {larger}\n'
    install(site, "larger", f'{HEAD}\n@stage("adjust", "larger")\n{body}')
    draw(tmp_path / "cat.png")
    assert run(tmp_path, 'open "cat.png" | adjust larger | save "a.png"').code == 0  # a size is no fault
    done = run(tmp_path, 'open "cat.png" | adjust larger | match lowpass | save "b.png"')
    assert done.code == 4
    assert "error[RT132]: 'adjust larger' made 128×128 pixels of 64×64 and states no size" in done.err
    assert "report it to f_larger (f_larger.py, line 10)" in done.err
    assert "report it to methods" not in done.err


def test_what_cannot_be_read_is_told_by_every_command_and_hinders_none(site: Path, tmp_path: Path) -> None:
    for name, (source, _) in READ.items():
        install(site, name, source if "import *" in source else HEAD + source)
    listed = retouch("plugins", folder=tmp_path)
    assert listed.code == 0
    for name, (_, said) in READ.items():
        about = listed.out.partition(f"f_{name}:")[2].partition("\nf_")[0]
        assert said in about, (name, about)
    checked = retouch("check", "-e", 'invert ddim "cat"->"dog"', "--caption", "a cat", folder=tmp_path)
    assert checked.code == 0
    assert "f_syntax" in checked.err
    assert retouch("check", "-e", "invert ddim", "--no-plugin", "f_syntax", folder=tmp_path).err.count("f_syntax") == 0
    install(site, "torn", HEAD + '@stage("mask", "torn")\ndef torn( -> Mask: ...\n')
    asked = retouch("check", "-e", "mask torn", folder=tmp_path)
    assert "help: 'f_torn' has it, and cannot be used as it is (RT902, " in asked.err
    assert "help: write mask box" in retouch("check", "-e", "box mask", folder=tmp_path).err


FLOWS = {"mask": MASK, "invert": INVERT, "guide": GUIDE, "blend": BLEND.replace("| blend", "| mask box | blend")}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_without_a_value_is_told_by_check(name: str, site: Path, tmp_path: Path) -> None:
    """RT909 where it is used, RT904 or RT902 where it is read."""
    source, said = CARDS[name]
    install(site, name, f"{HEAD}from retouch.api import Moot, Need\n{source.replace('NAME', name)}")
    draw(tmp_path / "cat.png")
    family = source.partition('"')[2].partition('"')[0]
    flow = FLOWS.get(family, MASK).format(name=name)
    flow = flow.replace(name, f"{name} n=1") if "moot" in source else flow
    checked = retouch("check", "-e", flow, folder=tmp_path)
    assert checked.code == 1
    assert said in checked.out + checked.err
    assert f"f_{name}" in checked.out + checked.err
    neighbour = retouch("check", "-e", NEIGHBOURS, folder=tmp_path)
    assert neighbour.code == 0


def test_names_and_defaults_of_ours_stay(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f'{HEAD}@stage("invert", "ddim")\nasync def ddim(latents: Latents) -> Trajectory:\n    """X."""\n'
    source += '@stage("guide", "takes_over", default=True)\ndef takes_over() -> Guidance:\n    """X."""\n'
    install(site, "aaa", source)
    listed = retouch("plugins", folder=tmp_path).out
    assert "write 'invert f_aaa.ddim'" in listed
    assert "'guide cfg' stays the default" in listed
    assert listed.count("f_aaa.ddim") == 1
    args = ("-e", 'invert ddim "cat"->"dog"', "--caption", "a cat")
    ours = retouch("plan", *args, folder=tmp_path)
    assert "guide cfg" in ours.out
    assert not ours.err
    chosen = retouch("plan", *args, "--set", "guide=takes_over", folder=tmp_path)
    assert "'guide' without a method is 'guide takes_over' (command line)" in chosen.out
    line = retouch("plan", "-e", f'defaults guide="f_aaa.takes_over"\n{args[1]}', *args[2:], folder=tmp_path)
    assert "'guide' without a method is 'guide takes_over' (defaults)" in line.out
    assert "takes" not in retouch("stages", "invert", "ddim", folder=tmp_path).out.partition("takes:")[0]
    assert "invert f_aaa.ddim" in retouch("stages", "invert", folder=tmp_path).out
    monkeypatch.setenv("RETOUCH_PLUGINS", "none")
    assert "f_aaa" not in retouch("plugins", folder=tmp_path).out


@pytest.mark.parametrize("how", ["import", "exit", "interrupt"])
def test_a_failed_import_is_named_before_a_model_loads(how: str, site: Path, tmp_path: Path) -> None:
    draw(tmp_path / "cat.png")
    lines = {"import": "import no_such_module", "exit": "raise SystemExit(0)", "interrupt": "raise KeyboardInterrupt"}
    fault = mask(f"absent_{how}", "return None", "")
    install(site, f"absent_{how}", f"{HEAD}{lines[how]}\n{fault.source}")
    done = run(tmp_path, fault.flow)
    assert done.code == 4
    assert f"'f_absent_{how}' could not be loaded" in done.err
    assert "rows in" not in done.out
    doctor = retouch("doctor", folder=tmp_path)
    assert doctor.code == 1
    assert f"'f_absent_{how}' could not be loaded" in doctor.out


def test_one_made_for_another_engine_is_left_out(site: Path, tmp_path: Path) -> None:
    install(site, "newer", f"{HEAD}raise RuntimeError", requires="retouch>=99")
    assert "asks for retouch >=99" in retouch("plugins", folder=tmp_path).out  # RT908


def test_a_name_of_a_plugin_that_is_none_is_a_wrong_command(tmp_path: Path) -> None:
    done = retouch("plugins", "--no-plugin", "methods", folder=tmp_path)
    assert done.code == 2
    assert "not 'methods'" in done.err


def test_wrong_rows_are_told_by_doctor(site: Path, tmp_path: Path) -> None:
    body = "\n".join(["for step in schedule:", "    await model(latents.data, step.noisy, prompt)", "return None"])
    ports = "latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule"
    head = f'@stage("invert", "costly", rows="1")\nasync def costly({ports}) -> Trajectory:\n    """X."""\n'
    install(site, "costly", HEAD + head + "\n".join(f"    {line}" for line in body.splitlines()))
    done = retouch("doctor", "--plugin", "f_costly", folder=tmp_path)
    assert done.code == 1
    assert "'1' says 1 to 1 rows, and 4 were evaluated" in done.out


def test_one_that_never_gives_way_is_named(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "cat.png")
    fault = mask("busy", f"while not os.path.exists('told'): pass\nreturn {FINE}", "")
    install(site, "busy", HEAD + fault.source)
    monkeypatch.setenv("RETOUCH_PATIENCE", "0.1")
    name = Watchdog._name

    def named(watchdog: Watchdog, seconds: float) -> None:
        name(watchdog, seconds)
        (tmp_path / "told").touch()

    monkeypatch.setattr(Watchdog, "_name", named)
    done = run(tmp_path, fault.flow)
    assert done.code == 0
    assert "f_busy: 'busy' (f_busy.py, line " in done.err


def test_each_is_there_once() -> None:
    assert len({fault.name for fault in RUNNING}) == len(RUNNING)


@pytest.mark.parametrize("name", ["nan_step", "nan_late", "tune_huge", "quits_late"])
def test_in_a_flow_in_brackets_the_stage_that_made_it_is_named_as_well(
    name: str, site: Path, tmp_path: Path, alone: dict[str, bytes]
) -> None:
    draw(tmp_path / "cat.png")
    (fault,) = (each for each in RUNNING if each.name == name)
    install(site, name, HEAD + fault.source)
    opened, _, rest = fault.flow.partition(" | ")
    flow, _, ending = rest.rpartition(" | ")
    done = run(tmp_path, f"{opened} | tiles ramps ({flow}) | {ending}\n{NEIGHBOURS}")
    assert done.code == 3, done.err
    assert fault.said in done.err
    assert "RT516" not in done.err
    assert {each: (tmp_path / each).read_bytes() for each in alone} == alone
