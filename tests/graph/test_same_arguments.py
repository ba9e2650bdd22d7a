"""`check`, `plan`, `graph` and `run` take the same arguments, and what one refuses the others refuse, too."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.arguments import parser
from retouch.cli.main import main

COMMANDS = ("check", "plan", "graph", "run")
GOOD = 'invert ddim "cat"->"dog"'
OF_ITS_OWN = {"graph": {"format", "picture"}}  # how a drawing looks, and where it goes

# arguments, the exit code, and what is said
WRONG = [
    (["-e", GOOD, "none.png"], 1, "RT402"),
    (["-e", "# nothing", "cat.png"], 1, "RT411"),
    (["-e", GOOD, "."], 1, "it is a folder; name its pictures"),
    (["-e", GOOD, "cta.png"], 1, "did you mean 'cat.png'?"),
    (["-e", GOOD, "torn.png"], 1, "RT504"),
    (["-e", GOOD, "cat.png", "-o", "cat.png"], 1, "RT407"),
    (["-e", GOOD, "cat.png", "-o", "mine.png"], 1, "RT415"),
    (["-e", GOOD, "cat.png", "dog.png", "-o", "out.png"], 1, "RT405"),
    (["-e", GOOD, "cat.png", "-o", "{nmae}.png"], 1, "RT406"),
    (["-e", GOOD, "cat.png", "--model", "sd99"], 1, "RT412"),
    (["-e", GOOD, "cat.png", "--seed", "many"], 1, "RT207"),
    (["-e", GOOD, "cat.png", "--set", "stesp=3"], 1, "RT222"),
    (["-e", GOOD, "cat.png", "--set", "steps"], 2, "--set takes NAME=VALUE"),
    (["-e", GOOD, "cat.png", "--caption", "a bird"], 1, "RT306"),
    (["-e", f'{GOOD} | save "../x.png"', "cat.png"], 1, "RT403"),
    (["-e", "invert nulltext", "cat.png"], 1, "RT202"),
    (["none.retouch", "cat.png"], 2, "there is no recipe"),
    (["cat.png"], 2, "'cat.png' is a picture; name the recipe before it"),
    ([], 2, "name a recipe"),
    (["-e", GOOD, "cat.png", "--device", "quantum"], 2, "no device is called 'quantum'"),
    (["-e", GOOD, "cat.png", "--device", "cpu", "--compile"], 2, "--compile is for cuda"),
    (["-e", GOOD, "torn.png", "cat.png", "--caption", "a cat"], 3, "1 of 2 pictures cannot be edited"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cat.png", "dog.png", "mine.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    (tmp_path / "torn.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)


def arguments(command: str) -> dict[str, tuple[object, ...]]:
    """What a command takes: by its name, how it is written and what it stands for when it is not."""
    (commands,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    actions = commands.choices[command]._actions
    return {a.dest: (tuple(a.option_strings), a.nargs, a.default, a.choices) for a in actions}


@pytest.mark.parametrize("command", COMMANDS)
def test_all_take_the_same(command):
    own = {name: told for name, told in arguments(command).items() if name not in OF_ITS_OWN.get(command, ())}
    assert own == arguments("run")


@pytest.mark.crossed
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("args", "code", "said"), WRONG, ids=lambda each: " ".join(each) if type(each) is list else "")
def test_all_come_to_the_same_verdict_and_tell_it_on_standard_error(capsys, command, args, code, said):
    assert main([command, *args]) == code
    out, err = capsys.readouterr()
    assert said in err
    assert "error" not in out
    assert not Path("out.png").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_all_take_everything_that_a_run_can_be_told(capsys, command):
    told = ["--set", "steps=1", "--seed", "3", "--model", "storybook", "--allow", ".", "--caption", "a cat"]
    told += ["-o", "out-{seed}.png", "--force", "--stamp", "none", "--device", "cpu", "--dtype", "float32", "--exact"]
    assert main([command, "-e", GOOD, "cat.png", *told]) == 0, capsys.readouterr().err
    assert Path("out-3.png").exists() == (command == "run")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_where_results_go(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "NAME-edited.png in this folder" in said
    assert "-o FOLDER holds all of them" in said


@pytest.mark.parametrize(("command", "code"), [("check", 0), ("graph", 0), ("plan", 2), ("run", 2)])
def test_several_recipes_are_checked_and_drawn_together_and_run_one_by_one(capsys, command, code):
    for name in "ab":
        Path(f"{name}.retouch").write_text(GOOD)
    assert main([command, "a.retouch", "b.retouch", "cat.png"]) == code
    assert ("takes one recipe" in capsys.readouterr().err) == (code == 2)
