"""The command line: exit codes, light commands, answers for people and for programs."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.main import main
from tests.e2e.command import ROOT

GOOD = 'invert null_text | mask diffedit "cat"->"dog" | blend latent\n'
WRONG = 'invert nulltext | mask diffedit "cat"->"dog" strenght=1\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Image.new("RGB", (64, 64)).save(tmp_path / "cat.png")
    (tmp_path / "good.retouch").write_text(GOOD)
    (tmp_path / "wrong.retouch").write_text(WRONG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answers(capsys) -> list:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_check_tells_all_errors_with_carets(capsys):
    assert main(["check", "wrong.retouch", "good.retouch"]) == 1
    said = capsys.readouterr().err
    assert "error[RT202]" in said
    assert "error[RT205]" in said
    assert " --> wrong.retouch:1:8" in said


def test_check_answers_programs_one_line_for_each_recipe(capsys):
    assert main(["check", "--json", "wrong.retouch", "good.retouch"]) == 1
    wrong, good = answers(capsys)
    assert [item["code"] for item in wrong["diagnostics"]] == ["RT202", "RT205"]
    assert wrong["diagnostics"][0]["start"] == [1, 8]
    assert good == {"recipe": "good.retouch", "ok": True, "diagnostics": []}


def test_a_right_recipe_is_silence(capsys):
    assert main(["check", "good.retouch"]) == 0
    assert capsys.readouterr() == ("", "")


def test_plan_shows_prompts_and_reasons(capsys):
    assert main(["plan", "-e", GOOD, "cat.png"]) == 0
    said = capsys.readouterr().out
    assert '"cat" -> "dog"' in said
    assert "put in: a flow without a name is a result" in said


def test_plan_answers_programs(capsys):
    assert main(["plan", "--json", "good.retouch", "cat.png", "--set", "steps=10", "--seed", "7"]) == 0
    (plan,) = answers(capsys)
    assert plan["schema"] == "retouch.plan/1"
    assert plan["rows"] == plan["graphs"][0]["rows"]
    assert plan["models"][0]["digest"]
    stages = {stage["stage"]: stage for stage in plan["graphs"][0]["stages"]}
    assert stages["mask diffedit"]["inputs"]["noise"]["seed"] == 7
    assert stages["invert null_text"]["inputs"]["schedule"]["steps"] == 10


def test_captions_come_from_the_command_line(capsys):
    assert main(["plan", "-e", 'invert ddim "cat"->"dog"', "cat.png", "--caption", "a white cat"]) == 0
    assert '"a white cat" -> "a white dog"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "-e", GOOD], "RT408"),
        (["run", "-e", GOOD, "dog.png"], "RT402"),
        (["run", "good.retouch", "cat.png", "--set", "stesp=3"], "RT222"),
        (["run", "good.retouch", "cat.png", "--seed", "many"], "RT207"),
        (["run", "good.retouch", "cat.png", "--model", "sd99"], "RT412"),
        (["run", "good.retouch", "cat.png", "-o", "cat.png"], "RT407"),
        (["run", "wrong.retouch", "cat.png"], "RT205"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(capsys, arguments, said):
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "none.retouch"], ["check"], ["run"], ["plan", "good.retouch", "--set", "steps"],
        ["explain", "RT999"], ["stages", "nope"],
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_two(arguments):
    assert main(arguments) == 2


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--speed", "9"]])
def test_a_command_line_that_cannot_be_read_is_two(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_an_interruption_is_130(monkeypatch, capsys):
    monkeypatch.setattr(import_module("retouch.cli.commands.check"), "main", interrupt)
    assert main(["check", "good.retouch"]) == 130
    assert "stopped" in capsys.readouterr().err


def interrupt(args):
    raise KeyboardInterrupt


def test_a_mistake_of_ours_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(import_module("retouch.cli.commands.check"), "main", lambda args: 1 / 0)
    assert main(["check", "good.retouch"]) == 4
    said = capsys.readouterr().err
    assert said == "error[RT501]: 'check' failed: ZeroDivisionError: division by zero\n"


def test_fmt_rewrites_and_check_only_says(here, capsys):
    (here / "loose.retouch").write_text("invert   ddim  steps=5|sample")
    assert main(["fmt", "--check", "loose.retouch"]) == 1
    assert (here / "loose.retouch").read_text() == "invert   ddim  steps=5|sample"
    assert main(["fmt", "loose.retouch"]) == 0
    assert (here / "loose.retouch").read_text() == "invert ddim steps=5 | sample\n"
    assert main(["fmt", "--check", "loose.retouch"]) == 0
    capsys.readouterr()


def test_json_goes_both_ways(here, capsys):
    assert main(["json", "good.retouch"]) == 0
    (here / "good.json").write_text(capsys.readouterr().out)
    assert main(["json", "good.json"]) == 0
    assert capsys.readouterr().out == GOOD


def test_listings(capsys):
    assert main(["stages"]) == 0
    assert "invert null_text" in capsys.readouterr().out
    assert main(["stages", "mask", "diffedit", "--json"]) == 0
    ((card,),) = answers(capsys)
    assert {"strength", "steps"} <= {option["name"] for option in card["options"]}
    assert main(["plugins", "--json"]) == 0
    assert all(not plugin["faults"] for plugin in answers(capsys))
    assert main(["models", "--json"]) == 0
    assert answers(capsys)[0]["model"] == "storybook"
    assert main(["explain", "rt205"]) == 0
    assert "unknown-option" in capsys.readouterr().out


LIGHT = [
    ["check", "good.retouch"], ["plan", "good.retouch", "cat.png"], ["fmt", "--check", "good.retouch"],
    ["json", "good.retouch"], ["stages"], ["explain", "RT205"], ["plugins"], ["models"], ["run", "wrong.retouch"],
]  # fmt: skip


def test_light_commands_do_not_import_torch():
    code = "import sys; from retouch.cli.main import main\nfor a in {}: main(a)\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code.format(LIGHT)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_recipe_is_laid_out_whole_or_not_at_all(tmp_path, monkeypatch, capsys):
    """On a full disk it was emptied; a link to it stays a link, and who may read it the same."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    text, recipe, link = "invert   ddim\n", folder / "a.retouch", folder / "b.retouch"
    recipe.write_text(text)
    recipe.chmod(0o640)
    link.symlink_to(recipe)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        assert said_by("fmt", str(link)) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert (recipe.read_text(), sorted(folder.iterdir())) == (text, [recipe, link])
    assert said_by("fmt", str(link)) == 0
    assert recipe.read_text() == "invert ddim\n"
    assert link.is_symlink()
    assert recipe.stat().st_mode & 0o777 == 0o640


def said_by(*line):
    """The exit code of a command."""
    try:
        return main([*line])
    except SystemExit as end:
        return end.code


def test_what_completes_the_line_in_a_shell_finds_the_parser_where_the_readme_says():
    (named,) = re.findall(r"shtab --shell=bash --prog retouch ([\w.]+)", (ROOT / "README.md").read_text("utf-8"))
    module, _, name = named.rpartition(".")
    known = getattr(import_module(module), name)()
    assert isinstance(known, argparse.ArgumentParser)
    assert known.prog == "retouch"
