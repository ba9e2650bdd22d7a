"""`retouch bench speed`: floors that are counted, rows that fail alone, and every line of it rehearsed on a CPU."""

from __future__ import annotations

import gc
import json
from functools import partial

import pytest
import torch

from retouch.cli import WrongCommand
from retouch_bench.speed.budget import Budget, LeftOut
from retouch_bench.speed.ceilings import Ceilings
from retouch_bench.speed.denoising import COMPILED, LOOP, MODES
from retouch_bench.speed.main import SECTIONS, main
from retouch_bench.speed.mix import DDIM, mixed
from retouch_bench.speed.report import Report
from retouch_bench.speed.shapes import SHAPES

H200 = Ceilings(790e12, 4.3e12)


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


@pytest.fixture
def little_garbage():
    """Each section collects garbage: that of this process before it began is not looked through again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def rehearsed(folder, *args):
    """Rows by section; there is time for all of them, however busy the machine is."""
    assert main(["--device", "cpu", "--seconds", "10000", *args, "-o", str(folder)]) == 0
    sections = json.loads((folder / "speed.json").read_text())["sections"]
    assert not [row for section in sections.values() for row in section if "failed" in row or "left_out" in row]
    for row in [*sections.get("denoiser", ()), *sections.get("compiled", ())]:
        assert row["rows_a_second"] > 0
        assert row["of_floor"] > 0
        assert row["off_eager"] < (1e-4 if row["dtype"] == "float32" else 3e-2)  # rounding, which half precision shows
    return sections


@pytest.mark.usefixtures("little_garbage")
def test_every_line_runs_on_a_cpu_and_is_written_down(tmp_path, capsys, monkeypatch):
    """The network is traced as for a compilation; what is compiled, and takes a minute, `make bench` sees."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    sections = rehearsed(tmp_path)
    assert set(sections) == {"ceilings", "floors", *SECTIONS}
    assert {row["mode"] for row in sections["denoiser"]} == {LOOP, *MODES}
    assert {row["mode"] for row in sections["compiled"]} == {"eager", *COMPILED}
    whole = {row["edit"]: row for row in sections["edits"] if "rows" in row}
    assert whole["DDIM, one alone"]["rows"] == 4 + 2 * 4  # up without guidance, down with it
    assert whole["null-text 10 inner steps, packed"]["gradient_rows"] == 2 * 10 * 4
    assert whole["mixed"]["pictures"] == 20
    assert capsys.readouterr().out.strip() == (tmp_path / "speed.md").read_text().strip()


@pytest.mark.bench
def test_a_compiled_network_says_what_the_eager_one_says(tmp_path):
    assert {row["mode"] for row in rehearsed(tmp_path, "--only", "compiled")["compiled"]} == {"eager", *COMPILED}


def test_without_time_rows_say_that_they_are_left_out(tmp_path, capsys):
    assert main(["--device", "cpu", "--seconds", "0.001", "--only", "codec", "--json", "-o", str(tmp_path)]) == 0
    sections = json.loads(capsys.readouterr().out)["sections"]
    assert len(sections["codec"]) == 2
    assert all("are left of what was given" in row["left_out"] for row in sections["codec"])


def test_a_row_that_fails_says_why_in_one_line_and_the_next_is_measured(tmp_path):
    said: list[str] = []
    report = Report(tmp_path, {}, said.append)

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
