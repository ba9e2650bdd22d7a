"""`retouch new-plugin` writes distributions that install, keep their laws and edit pictures, or nothing at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.commands.new_plugin import KINDS, STARTERS
from retouch.cli.main import main
from tests.e2e.command import ROOT, in_warm_process
from tests.e2e.warm import PATIENCE, Warm

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_there_is_a_starter_for_every_kind_and_no_other():
    assert {path.name for path in STARTERS.iterdir() if path.is_dir()} - {"__pycache__"} == set(KINDS)


@pytest.mark.thorough
def test_every_kind_keeps_its_own_laws_and_edits_a_picture(tmp_path: Path):
    """Its own tests, in one process for all; each is announced as an installed distribution is."""
    for kind in KINDS:
        folder = tmp_path / kind
        assert main(["new-plugin", f"kit_{kind}", "--kind", kind, "--to", str(folder)]) == 0
        info = folder / f"retouch_kit_{kind}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: retouch-kit_{kind}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[retouch.plugins]\nkit_{kind} = retouch_kit_{kind}\n")
    path = os.pathsep.join([*(str(tmp_path / kind) for kind in KINDS), str(ROOT)])
    loaded = "from tests.e2e.sessions import stay_loaded; stay_loaded('storybook')"  # once for all of them
    code = f"import pytest, sys; {loaded}; sys.exit(pytest.main(sys.argv[1:]))"
    told = ("-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path)
    with Warm(code, *told, folder=tmp_path, env={**ENV, "PYTHONPATH": path}) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert int(out.split(" passed")[0].split()[-1]) >= 2 * len(KINDS)


@pytest.mark.thorough
def test_pip_installs_what_it_wrote_and_a_recipe_uses_it(tmp_path: Path):
    assert main(["new-plugin", "softbox", "--kind", "mask", "--to", str(tmp_path / "made")]) == 0
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    target = tmp_path / "site"
    subprocess.run([*pip, "--target", target, tmp_path / "made"], check=True, capture_output=True)
    Image.new("RGB", (64, 64), "white").save(tmp_path / "in.png")
    recipe = 'open "in.png" | mask softbox | save mask "mask.png"'
    done = in_warm_process("run", "-e", recipe, folder=tmp_path, env={**ENV, "PYTHONPATH": str(target)})
    assert done.code == 0, done.out + done.err
    assert Image.open(tmp_path / "mask.png").getcolors() == [(4096, 255)]


def test_a_stage_that_lies_here_and_is_not_installed_is_told_with_what_to_type(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save("in.png")
    assert main(["new-plugin", "softbox", "--kind", "mask"]) == 0
    assert main(["new-plugin", "warmth", "--kind", "picture", "--to", "my plugins"]) == 0
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pyproject.toml").write_text("[project")
    typed = {
        "mask softbox": "it lies in 'retouch-softbox' and is not installed: pip install -e retouch-softbox",
        "adjust warmth": "pip install -e 'my plugins'",
        "mask softbx": "methods: ",
    }
    for stage, words in typed.items():
        assert main(["check", "-e", f'open "in.png" | {stage} | save "o.png"']) == 1
        assert words in capsys.readouterr().err
    monkeypatch.chdir("retouch-softbox")
    assert main(["check", "-e", "mask softbox"]) == 1
    assert "it lies in '.' and is not installed: pip install -e .\n" in capsys.readouterr().err


WRONG = {
    "soft-box": ("RT920", "write 'soft_box'"),
    "SoftBox": ("RT920", "write 'soft_box'"),
    "3d": ("RT920", "write 'd'"),
    "../out": ("RT920", "write 'out'"),
    "": ("RT920", "such as 'softbox'"),
    "_": ("RT920", "such as 'softbox'"),
    "class": ("RT920", "a word of Python or of recipes"),
    "let": ("RT920", "a word of Python or of recipes"),
    "retouch_mine": ("RT920", "write 'mine'"),
    "stage": ("RT920", "has a meaning in the module"),
    "range": ("RT920", "has a meaning in the module"),
    "methods": ("RT921", "a plugin 'methods'"),
    "bench": ("RT921", "a plugin 'bench'"),
    "box": ("RT921", "a stage 'mask box'"),
}


def test_a_benchmark_takes_no_name_of_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new-plugin", "quality", "--kind", "bench"]) == 2
    assert "a benchmark 'quality'" in capsys.readouterr().err
    assert main(["new-plugin", "moves", "--kind", "bench"]) == 0
    assert "retouch bench moves 'invert ddim" in (tmp_path / "retouch-moves" / "README.md").read_text()


@pytest.mark.parametrize("name", WRONG)
def test_a_name_that_cannot_be_is_refused_before_anything_is_written(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new-plugin", name, "--kind", "mask"]) == 2
    said, (code, words) = capsys.readouterr().err, WRONG[name]
    assert f"error[{code}]" in said
    assert words in said
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for folder, words in (("full", "has files in it"), ("file", "is a file"), ("no/such", "no such folder")):
        assert main(["new-plugin", "softbox", "--kind", "mask", "--to", folder, "--json"]) == 2
        said = json.loads(capsys.readouterr().out)
        assert said["code"] == "RT922"
        assert words in said["error"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "mine.txt"]


def test_an_empty_folder_is_taken(tmp_path, capsys):
    assert main(["new-plugin", "softbox", "--kind", "mask", "--to", str(tmp_path), "--json"]) == 0
    files = ["README.md", "pyproject.toml", "retouch_softbox.py", "test_softbox.py"]
    assert json.loads(capsys.readouterr().out)["files"] == files
    assert not any("newcomer" in path.read_text().lower() for path in tmp_path.iterdir())


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_is_stopped_half_way_leaves_nothing(failure, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def stopped(*_):
        raise failure

    monkeypatch.setattr(Path, "rename", stopped)
    assert main(["new-plugin", "softbox", "--kind", "mask"]) == (130 if failure is KeyboardInterrupt else 2)
    assert not list(tmp_path.iterdir())


def test_the_fixtures_load_nothing_until_they_are_asked_for():
    """Whoever has Retouch installed runs other tests as before."""
    code = (
        "import sys, pytest; import retouch.testing.pytest_plugin; "
        "print(*(name for name in sys.modules if name.split('.')[0] in ('torch', 'numpy', 'diffusers', 'PIL')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
