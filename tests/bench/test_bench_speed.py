"""`retouch bench speed`: floors that are counted, rows that fail alone, and every line of it rehearsed on a CPU."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch

from retouch.cli import WrongCommand
from retouch_bench.speed.budget import Budget, LeftOut
from retouch_bench.speed.ceilings import Ceilings
from retouch_bench.speed.denoising import COMPILED, LOOP, LORA_MODES, MODES
from retouch_bench.speed.main import SECTIONS, main
from retouch_bench.speed.mix import DDIM, mixed
from retouch_bench.speed.published import MODELS, FamilyNetwork
from retouch_bench.speed.report import SpeedReport
from retouch_bench.speed.setting import Setting
from retouch_bench.speed.shapes import SHAPES

H200 = Ceilings(790e12, 4.3e12)
ONE = ("denoiser", "host", "codec", "edits")  # sections that need neither a compiler nor networks of other families


@pytest.mark.thorough
def test_the_floor_of_stable_diffusion_is_counted():
    """FLOPs as torch's own counter has them, and the published shape's parameters; nothing is hard-coded."""
    work = SHAPES["sd15"].work(torch.bfloat16)
    row = work["denoiser"]
    assert row.flops / 1e12 == pytest.approx(0.803, abs=5e-4)
    assert row.bytes(1) / 1e9 == pytest.approx(2.75, abs=5e-3)
    assert row.seconds(1, H200) * 1e3 == pytest.approx(1.15, abs=5e-3)
    assert row.seconds(32, H200) / 32 * 1e3 == pytest.approx(1.03, abs=5e-3)
    assert work["encode"].flops / 1e12 == pytest.approx(1.12, abs=5e-3)
    assert work["decode"].flops / 1e12 == pytest.approx(2.51, abs=5e-3)
    unet = SHAPES["sd15"].denoiser("meta", torch.bfloat16)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "billions", "tflop", "alone", "packed"),
    [
        ("sdxl", 2.567, 6.761, 8.75, 8.63),
        pytest.param("sd35-medium", 2.47, 11.25, 14.60, 14.29, marks=pytest.mark.bench),
        pytest.param("flux-dev", 11.90, 74.38, 95.7, 94.3, marks=pytest.mark.bench),
    ],
)
def test_the_floor_of_another_family_is_counted(tmp_path, model, billions, tflop, alone, packed):
    """Parameters as published; XL's work and floors as worked out by hand elsewhere."""
    setting = Setting(
        torch.device("cpu"), torch.bfloat16, SHAPES["sd15"], False, Budget(1), SpeedReport(tmp_path, {}, str), tmp_path
    )
    setting.ceilings[torch.bfloat16] = H200
    network = FamilyNetwork(MODELS[model], setting)
    network.work = network.count()
    assert network.work.flops / 1e12 == pytest.approx(tflop, rel=1e-3)
    assert network.floor(1, torch.bfloat16) * 1e3 == pytest.approx(alone, rel=1e-3)
    assert network.floor(8, torch.bfloat16) / 8 * 1e3 == pytest.approx(packed, rel=1e-3)
    stored = network.module("meta", torch.bfloat16).state_dict().values()
    assert sum(each.numel() for each in stored) / 1e9 == pytest.approx(billions, rel=0.01)


def rehearsed(folder, *args):
    """Rows by section; there is time for all of them, however busy the machine is."""
    assert main(["--device", "cpu", "--seconds", "10000", *args, "-o", str(folder)]) == 0
    sections = json.loads((folder / "speed.json").read_text())["sections"]
    assert not [row for section in sections.values() for row in section if "failed" in row or "left_out" in row]
    measured = [*sections.get("denoiser", ()), *sections.get("compiled", ()), *sections.get("families", ())]
    for row in [each for each in measured if "rows_a_second" in each or "rows" in each]:
        assert row["rows_a_second"] > 0
        assert row["of_floor"] > 0
        assert row["off_eager"] < (1e-4 if row["dtype"] == "float32" else 3e-2)  # rounding, which half precision shows
    return sections


def measured_as_it_says(sections):
    """The modes of the denoiser, and what edits count."""
    assert {row["mode"] for row in sections["denoiser"]} == {LOOP, *MODES, *LORA_MODES}
    whole = {row["edit"]: row for row in sections["edits"] if "rows" in row}
    assert whole["DDIM, one alone"]["rows"] == 4 + 2 * 4  # up without guidance, down with it
    assert whole["null-text 10 inner steps, packed"]["gradient_rows"] == 2 * 10 * 4
    assert whole["mixed"]["pictures"] == 20


@pytest.mark.thorough
def test_what_is_measured_of_one_network_is_written_down(tmp_path, capsys):
    sections = rehearsed(tmp_path, "--only", *ONE)
    assert set(sections) == {"ceilings", "floors", *ONE}
    measured_as_it_says(sections)
    assert capsys.readouterr().out.strip() == (tmp_path / "speed.md").read_text().strip()


@pytest.mark.bench
def test_every_line_runs_on_a_cpu_and_is_written_down(tmp_path, capsys, monkeypatch):
    """The network is traced as for a compilation; what is compiled, and takes a minute, `make bench` sees."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    sections = rehearsed(tmp_path)
    assert set(sections) == {"ceilings", "floors", *SECTIONS}
    measured_as_it_says(sections)
    assert {row["mode"] for row in sections["compiled"]} == {"eager", *COMPILED}
    assert {row["network"] for row in sections["families"] if row["mode"] == LOOP} == {
        each.name for each in MODELS.values()
    }
    assert capsys.readouterr().out.strip() == (tmp_path / "speed.md").read_text().strip()


@pytest.mark.bench
def test_a_compiled_network_says_what_the_eager_one_says(tmp_path):
    assert {row["mode"] for row in rehearsed(tmp_path, "--only", "compiled")["compiled"]} == {"eager", *COMPILED}


@pytest.mark.thorough
def test_without_time_rows_say_that_they_are_left_out(tmp_path, capsys):
    assert main(["--device", "cpu", "--seconds", "0.001", "--only", "codec", "--json", "-o", str(tmp_path)]) == 0
    sections = json.loads(capsys.readouterr().out)["sections"]
    assert len(sections["codec"]) == 2
    assert all("are left of what was given" in row["left_out"] for row in sections["codec"])


def test_a_row_that_fails_says_why_in_one_line_and_the_next_is_measured(tmp_path):
    said: list[str] = []
    report = SpeedReport(tmp_path, {}, said.append)

    def fails():
        raise RuntimeError("out of luck\nand of much else")

    assert report.attempt("edits", {"edit": "one"}, fails) is None
    assert report.attempt("edits", {"edit": "two"}, lambda: {"seconds": 1.0}) is not None
    first, second = json.loads((tmp_path / "speed.json").read_text())["sections"]["edits"]
    assert first == {"edit": "one", "failed": "RuntimeError: out of luck"}
    assert second == {"edit": "two", "seconds": 1.0}
    assert len(said) == 2
    assert "| one | RuntimeError: out of luck |" in report.markdown


def test_a_budget_is_spent_by_the_clock_and_a_part_takes_no_more_than_is_left():
    now = [0.0]
    budget = Budget(100, lambda: now[0])
    now[0] = 90.0
    part = budget.part(0.5)
    assert part.left == 10
    part.need(10)
    now[0] = 95.0
    with pytest.raises(LeftOut, match="takes about 6 s, and 5 s are left"):
        part.need(6)
    now[0] = 200.0
    assert budget.left == 0


def test_the_mix_has_the_shares_that_it_says():
    recipes = mixed(5)
    assert len(recipes) == 100
    assert recipes.count(DDIM) == 35
    assert mixed(5) == recipes
    assert recipes[:35] != (DDIM,) * 35


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--seconds", "0"], "0 is not more than 0 seconds"),
        (["--seconds", "soon"], "'soon' is no number of seconds"),
        (["--only", "nothing"], "invalid choice: 'nothing'"),
        (["--dtype", "int8"], "invalid choice: 'int8'"),
    ],
)
def test_a_wrong_value_is_refused_in_plain_words(given, told, capsys):
    with pytest.raises(SystemExit):
        main(given)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("device", "told"), [("toaster", "is no device"), ("mps", "and not on 'mps'")])
def test_a_wrong_device_is_refused_in_plain_words(device, told):
    with pytest.raises(WrongCommand, match=told):
        main(["--device", device])
