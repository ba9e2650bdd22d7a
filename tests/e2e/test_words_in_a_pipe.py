"""People get words and standard error gets what is wrong, terminal or not; programs get JSON when they ask for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import draw, in_warm_process, retouch
from tests.e2e.test_nobody_listens import COMMANDS, EDIT

RIGHT = COMMANDS | {
    "check": ["-e", EDIT, "cat.png"],
    "show": ["made.png"],
    "rerun": ["made.png"],
    "new-plugin": ["softbox", "--kind", "mask"],
}
WRONG = {
    "run": ["-e", "invert nulltext", "cat.png"],
    "plan": ["-e", "invert nulltext", "cat.png"],
    "graph": ["-e", "invert nulltext", "cat.png"],
    "check": ["-e", "invert nulltext", "cat.png"],
    "fmt": ["wrong.retouch"],
    "json": ["wrong.retouch"],
    "stages": ["nope"],
    "matrix": ["-o", "nowhere/at/all.md"],
    "explain": ["RT999"],
    "show": ["cat.png"],
    "rerun": ["cat.png"],
    "bench": ["nope"],
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipe")
    for name in ("cat", "two"):
        draw(folder / f"{name}.png")
    (folder / "loose.retouch").write_text("invert   ddim\n")
    (folder / "wrong.retouch").write_text("invert ddim |\n")
    assert retouch("run", "-e", EDIT, "cat.png", "-o", "made.png", folder=folder).code == 0
    return folder


def is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


@pytest.mark.usefixtures("few_pairs")
@pytest.mark.parametrize("command", sorted(RIGHT))
def test_the_answer_is_words(here, command):
    ran = retouch(command, *RIGHT[command], folder=here)
    assert ran.code == 0, ran.err
    assert not any(map(is_json, ran.out.splitlines()))
    assert command == "json" or not is_json(ran.out)
    assert ran.err == ""


@pytest.mark.parametrize("command", sorted(WRONG))
def test_what_is_wrong_is_told_in_words_on_standard_error(here, command):
    ran = retouch(command, *WRONG[command], folder=here)
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert ran.err.strip()
    assert not any(map(is_json, ran.err.splitlines()))


@pytest.mark.parametrize("command", sorted(WRONG.keys() - {"bench"}))  # takes its words as they are
def test_programs_are_told_it_on_standard_output(here, command):
    ran = retouch(command, *WRONG[command], "--json", folder=here)
    assert ran.code in (1, 2)
    (told,) = map(json.loads, ran.out.splitlines())
    assert told["ok"] is False
    assert ran.err == ""


@pytest.mark.thorough
def test_a_process_whose_output_is_piped_says_where_its_results_lie(here):
    ran = in_warm_process("run", "-e", EDIT, "cat.png", "two.png", "-o", "piped", folder=here)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[:2] == [f"saved {here / 'piped' / name}.png" for name in ("cat", "two")]
    assert ran.err == ""
