"""`retouch run --workers N`: the same files and words as of one process, whatever becomes of a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from retouch_storybook.world import Scene
from tests.e2e.command import HEEDING, Ran, draw, retouch
from tests.faulty.test_faulty_plugins import faulty_model, install

PLAIN = "defaults steps=2\ninvert ddim"
SHARED = (
    'defaults steps=2\npath = open | invert ddim\npath | save\npath | sheet "sheet.png"\npath | measure "figures.csv"'
)
# A mask that does with a narrow picture what its name says, and nothing with others.
WICKED = """
import os, signal, time
import torch
from retouch.api import Image, Mask, stage

@stage("mask", "{name}")
def {name}(image: Image) -> Mask:
    \"\"\"X.\"\"\"
    if image.size[1] < 64:
        {does}
    mask = torch.zeros(image.size)
    mask[:30] = 1
    return Mask(mask)
"""
# A family of models that goes to another folder when it loads its network, which a worker does once for all its shards.
GOES_AWAY = """
import os
from retouch import hookimpl
from retouch_models.stable_diffusion import StableDiffusion
class Away(StableDiffusion):
    name = "Away"
    def load(self, known, parts):
        os.chdir("/")
        return super().load(known, parts)
FAMILY = Away()
@hookimpl
def retouch_families():
    return {"FaultyPipeline": "f_away:FAMILY"}
"""
DIES, HANGS = "os.kill(os.getpid(), signal.SIGKILL)", "time.sleep(600)"


def pictures(folder: Path, count: int) -> list[str]:
    for place in range(count):
        draw(folder / f"p{place}.png", Scene("cat", ("orange", "white", "black")[place % 3], "in a meadow", seed=place))
    return [f"p{place}.png" for place in range(count)]


def run(folder: Path, recipe: str, names: list[str], out: str, *more: object) -> Ran:
    return retouch("run", "-e", recipe, *names, "--exact", "-o", out, *more, folder=folder)


def results(folder: Path) -> dict[str, bytes]:
    """What a run made in a folder; its journal has the times and the order of one run."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".jsonl"}


@pytest.mark.thorough
def test_workers_make_the_bytes_of_one_process_and_what_ends_one_is_left_out(tmp_path, monkeypatch):
    """One worker is killed by a stage, twice; its other pictures, the sheet and the table are as without it."""
    install(tmp_path, "dies", WICKED.format(name="dies", does=DIES))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    names, recipe = pictures(tmp_path, 3), SHARED.replace("invert ddim", "invert ddim | mask dies | blend pixel")
    alone = run(tmp_path, recipe, names, "alone")
    assert alone.code == 0, alone.err
    draw(tmp_path / "bad.png")
    Image.new("RGB", (48, 64), "grey").save(tmp_path / "bad.png")
    done = run(tmp_path, recipe, [*names, "bad.png"], "shared", "--workers", 2)
    assert done.code == 3, done.err
    assert "error[RT923]: 'bad' ended two workers: the last ended by SIGKILL" in done.err
    assert done.err.count("a worker ended by SIGKILL") == 2
    assert "1 of 4 pictures failed" in done.err  # a sheet and a table are no pictures
    kept, made = results(tmp_path / "alone"), results(tmp_path / "shared")
    assert made.keys() == kept.keys()
    for name in ("p0.png", "p1.png", "p2.png"):
        assert made[name] == kept[name], name
    assert b"bad" not in made["figures.csv"]
    told = [json.loads(line) for line in (tmp_path / "shared" / ".retouch.jsonl").read_text().splitlines()]
    assert {line["file"] for line in told if line["event"] == "saved"} == set(made)
    assert {line["code"] for line in told if line["event"] == "failed"} == {"RT923"}
    assert told[-1]["how"] == "done"


@pytest.mark.thorough
def test_every_picture_is_told_what_the_family_of_its_model_changed_whichever_shard_it_is_in(tmp_path, monkeypatch):
    install(tmp_path, "away", GOES_AWAY)
    faulty_model(tmp_path / "model")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    names = pictures(tmp_path, 4)  # so that each worker has two shards
    done = run(tmp_path, 'model "model/"\n' + PLAIN, names, "out", "--workers", 2)
    assert done.code == 0, done.err
    assert done.err.count("the family 'Away' of 'f_away' changed the folder that the process is in") == len(names)


@pytest.mark.bench
def test_workers_say_and_make_what_one_process_does(tmp_path):
    names = pictures(tmp_path, 5)
    one, two = run(tmp_path, SHARED, names, "one"), run(tmp_path, SHARED, names, "two", "--workers", 2)
    assert (one.code, two.code) == (0, 0), two.err
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert one.err == two.err
    assert sorted(one.out.replace("one/", "two/").splitlines()[:-1]) == sorted(two.out.splitlines()[:-1])
    three = run(tmp_path, SHARED, names, "three", "--workers", 3, "--json")
    told = [event["item"] for event in three.events if event["event"] == "result"]
    assert told[:5] == [str(tmp_path / name) for name in names]


@pytest.mark.bench
def test_a_stage_that_hangs_is_ended_with_its_worker(tmp_path, monkeypatch):
    from PIL import Image

    install(tmp_path, "hangs", WICKED.format(name="hangs", does=HANGS))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("RETOUCH_PATIENCE", "2")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = pictures(tmp_path, 2)
    Image.new("RGB", (48, 64), "grey").save(tmp_path / "bad.png")
    done = run(tmp_path, f"{PLAIN} | mask hangs | blend pixel", [*names, "bad.png"], "out", "--workers", 2)
    assert done.code == 3, done.err
    assert "'hangs' of f_hangs (f_hangs.py, line 10) did not give way for 4 s" in done.err
    assert results(tmp_path / "out").keys() == set(names)


@pytest.mark.bench
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_run_ends_its_workers_and_leaves_no_half_written_file(tmp_path, how):
    names = pictures(tmp_path, 4)
    recipe = "defaults steps=300\ninvert ddim"
    command = [sys.executable, "-c", HEEDING, "run", "-e", recipe, *names, "-o", "out", "--workers", "2", "--json"]
    marked = {**os.environ, "RETOUCH_TEST_MARK": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=marked
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"progress"' in line:
                break
        assert len(marked_processes(tmp_path)) == 3
        process.send_signal(how)
        _, said = process.communicate(timeout=600)
    assert process.returncode == (-how if how == signal.SIGKILL else 128 + how), said
    assert "Traceback" not in said
    until = time.monotonic() + 10
    while marked_processes(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert marked_processes(tmp_path) == []
    assert not list(tmp_path.rglob("*.part"))


def marked_processes(mark: Path) -> list[int]:
    """The processes that have this mark in their environment."""
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"RETOUCH_TEST_MARK={mark}".encode() in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("count", ["0", "-1", "many", "257", "1.5", "²"])
def test_a_number_of_workers_that_cannot_be_is_a_wrong_command(tmp_path, count):
    done = retouch("run", "-e", PLAIN, f"--workers={count}", folder=tmp_path)
    assert done.code == 2
    assert f"takes a number from 1 to 256, and this is '{count}'" in done.err


def test_without_ray_the_line_to_type_is_told(cat, monkeypatch):
    from retouch.cli import machine

    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    for command in ("run", "plan", "check"):
        done = retouch(command, "-e", PLAIN, "cat.png", "--ray", folder=cat.parent)
        assert done.code == 2
        assert "error[RT925]: '--ray' needs the package 'ray', which is not installed" in done.err
        assert "= help: pip install 'retouch[ray]'" in done.err


def test_what_workers_cannot_be_given_is_told_before_any_starts(tmp_path):
    from argparse import Namespace

    from retouch.cli.reporting import Refusal
    from retouch.cli.sharing import run_by_workers
    from retouch.graph.nodes import Graph, Picture
    from retouch.run.files.provenance import Request
    from retouch.run.files.run_journal import RunJournal
    from retouch.run.files.shared import SharedFiles
    from retouch.run.settings import Settings
    from retouch.run.whole import WholeRun

    strange: Any = Scene("cat", "white", "in a meadow")  # in place of a model: no dataclass of the engine
    graphs = [Graph((), (), Picture(tmp_path / "cat.png"), strange)]
    whole = WholeRun(graphs, Request(), Settings(), (), lambda *_: None, SharedFiles(graphs), RunJournal(()))
    with pytest.raises(Refusal) as refused:
        run_by_workers(Namespace(workers=2, ray=None), whole)
    assert (refused.value.code, "Scene" in str(refused.value)) == ("RT926", True)
