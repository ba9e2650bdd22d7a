"""What `make gpu` does around its parts, since a GPU comes for a quarter of an hour: it outlives whatever they do."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.gpu import script

HANGS = "import os, signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('begun', flush=True); "
LEAVES = "import subprocess; print('gone', subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True)"
ENDS = {
    "print('done')": ("passed", "done"),
    "import os; print('here', flush=True); os.abort()": ("died of SIGABRT", "here"),
    "raise SystemExit(3)": ("failed with exit code 3", ""),
    f"{HANGS}time.sleep(600)": ("out of time", "begun"),
    LEAVES: ("passed", "gone"),  # what it began has its stream, and is not waited for
}


@pytest.mark.parametrize("code", ENDS)
def test_whatever_a_part_does_its_outcome_and_its_words_are_known(code, monkeypatch):
    outcome, words = ENDS[code]
    hangs = outcome == "out of time"
    part, log = script.Part("tests", 1.0, 0.1 if hangs else 600.0), io.StringIO()

    class Begun(subprocess.Popen):
        """A process whose time begins when it has said its words, however slow the machine."""

        def wait(self, timeout=None):
            while words not in log.getvalue():
                time.sleep(0.01)
            return super().wait(timeout)

    monkeypatch.setattr(script.subprocess, "Popen", Begun)
    monkeypatch.setattr(script, "GRACE", 2.2)
    script._run(part, [sys.executable, "-S", "-c", code], {**os.environ}, log)
    assert part.outcome == outcome
    assert words in log.getvalue()
    if words == "gone":
        os.kill(int(log.getvalue().split("gone ")[1].split()[0]), signal.SIGKILL)  # it is there still


def test_figures_of_all_parts_are_in_one_file_and_those_that_failed_are_counted(tmp_path):
    for name, rows in {"speed": [{"rows": 1}], "families": [{"failed": "OutOfMemoryError"}]}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "speed.json").write_text(json.dumps({"sections": rows}))
        script._gather(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json"]
    assert set(json.loads((tmp_path / "figures.json").read_text())) == {"speed", "families"}
    parts = [script.Part("speed", 1.0, 1.0, "passed"), script.Part("families", 1.0, 1.0, "passed")]
    report = script._report("a card", parts, tmp_path)
    assert "| families | passed, 1 of its figures failed |" in report
    assert "| speed | passed |" in report


def test_wheels_fill_in_what_lacks_or_is_too_old_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "version", lambda name: {"transformers": "4.57.1", "pillow": "13.0.0"}[name])
    monkeypatch.setattr(script, "_installed", lambda name: name in ("transformers", "pillow", "retouch"))
    own, other = f"cp{sys.version_info[0]}{sys.version_info[1]}", "cp399"
    wheels = ("transformers-5.3.0-py3-none-any", "pillow-13.0.0-py3-none-any", f"a-1-{own}-{own}-any")
    for name in (*wheels, f"b-1-{other}-{other}-any", f"c-1-{other}-abi3-any"):
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as wheel:
            wheel.writestr(name.split("-")[0], "")
    environment = script._environment(tmp_path, tmp_path)
    site = next(Path(each) for each in environment["PYTHONPATH"].split(os.pathsep) if each.endswith("site"))
    assert sorted(path.name for path in site.iterdir()) == ["a", "c", "transformers"]


REHEARSES = {"python": "3.12.1", "lacks": [], "torch": "2.13.0", "card here": False}
UNFIT = {
    "what it needs is missing": (REHEARSES | {"lacks": ["torch", "lark"]}, "lacks torch, lark: `make gpu-wheels`"),
    "a card that breaks": (
        REHEARSES | {"card": "a card", "why": "RuntimeError: CUDA error"},
        "RuntimeError: CUDA error",
    ),
    "a torch without CUDA": (REHEARSES | {"card here": True}, "there is a card, and torch 2.13.0 of"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_where_nothing_can_be_measured_that_is_said_at_once(name, tmp_path, monkeypatch, capsys):
    """And no rehearsal takes the minutes of a card that somebody waits for."""
    found, words = UNFIT[name]
    monkeypatch.setattr(script, "_found", lambda environment: found)
    assert script.main(["--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().out
    assert words in (tmp_path / "report.md").read_text()


def test_a_card_is_told_with_all_that_its_figures_hang_on():
    card = {"card": "a card", "capability": "9.0", "cuda": "13.0", "cudnn": 91900, "triton": None, "compiler": None}
    told = script._machine(REHEARSES | card)
    assert told.startswith("a card; torch 2.13.0")
    assert told.endswith("capability 9.0; cuda 13.0; cudnn 91900; triton None; compiler None")


@pytest.mark.parametrize(
    ("code", "patience", "why"),
    [
        ("import os; os.abort()", 600, "torch ended its process"),
        ("import time; time.sleep(600)", 1, "did not answer in 1 s"),
    ],
)
def test_a_torch_that_ends_its_process_or_hangs_ends_nothing_else(code, patience, why, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.setattr(script, "PATIENCE", patience)
    found = script._found({**os.environ, "PYTHONPATH": str(tmp_path)})
    assert why in found["why"]
    assert why in (script._unfit(found) or "")
