"""Whoever reads the output may leave, as `| head -1` does: the work goes on, and the exit code tells how it ended."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from PIL import Image

from retouch.cli import arguments, main
from tests.e2e.command import draw, left_in, retouch

EDIT = 'invert sdedit "cat"->"dog" steps=2'
COMMANDS = {
    "run": ["-e", EDIT, "cat.png", "two.png", "-o", "out"],
    "plan": ["-e", EDIT, "cat.png"],
    "graph": ["-e", EDIT, "cat.png"],
    "check": ["wrong.retouch", "wrong.retouch"],
    "fmt": ["loose.retouch"],
    "json": ["loose.retouch"],
    "stages": [],
    "matrix": ["-o", "matrix.md"],
    "explain": ["RT301"],
    "plugins": [],
    "models": [],
    "new-plugin": ["9", "--kind", "mask"],
    "doctor": [],
    "show": ["dog.png"],
    "status": [],
    "rerun": ["dog.png", "-o", "again.png"],
    "bench": [],
}
STREAMS = [("stdout",), ("stderr",), ("stdout", "stderr")]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    draw(tmp_path / "cat.png")
    draw(tmp_path / "two.png")
    (tmp_path / "loose.retouch").write_text("invert   ddim\n")
    (tmp_path / "wrong.retouch").write_text("invert nulltext\n")
    return tmp_path


@pytest.fixture
def dog(here: Path) -> Path:
    assert retouch("run", "-e", EDIT, "cat.png", "-o", "dog.png", folder=here).code == 0
    return here


@contextlib.contextmanager
def left() -> Iterator[TextIO]:
    """A pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        yield stream


def alone(args: list[str], streams: tuple[str, ...], folder: Path) -> int:
    """The exit code of a command that talks to nobody."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        out = stack.enter_context(left()) if "stdout" in streams else io.StringIO()
        err = stack.enter_context(left()) if "stderr" in streams else io.StringIO()
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        return main.main(args)


def test_every_command_is_here():
    (commands,) = [a for a in arguments.parser()._actions if isinstance(a, argparse._SubParsersAction)]
    assert set(COMMANDS) == set(commands.choices)


@pytest.mark.crossed
@pytest.mark.parametrize("streams", STREAMS, ids="+".join)
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"run", "rerun", "show", "matrix"}))
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_a_command_ends_as_it_would_with_a_listener(here, command, streams, form):
    args = [command, *form, *COMMANDS[command]]
    code = alone(args, streams, here)
    (here / "loose.retouch").write_text("invert   ddim\n")
    assert code == retouch(*args, folder=here).code


@pytest.mark.parametrize("streams", STREAMS, ids="+".join)
def test_a_batch_is_done_to_the_end(here, streams):
    assert alone(["run", *COMMANDS["run"]], streams, here) == 0
    assert left_in(here / "out") == {"cat.png", "two.png"}


def test_a_batch_that_fails_in_part_says_so_by_its_exit_code(here):
    Image.new("RGB", (64, 64)).save(here / "torn.png")
    (here / "torn.png").write_bytes((here / "torn.png").read_bytes()[:60])
    args = ["run", "-e", EDIT, "cat.png", "torn.png", "--caption", "a cat", "-o", "out"]
    assert alone(args, ("stdout", "stderr"), here) == 3


@pytest.mark.parametrize("command", ["show", "rerun"])
def test_a_picture_is_told_of_and_made_again_to_nobody(dog, command):
    assert alone([command, *COMMANDS[command]], ("stdout", "stderr"), dog) == 0
    assert (dog / "again.png").exists() == (command == "rerun")


@pytest.mark.usefixtures("few_pairs")
def test_a_page_is_written_whoever_listens(here):
    assert alone(["matrix", *COMMANDS["matrix"]], ("stdout", "stderr"), here) == 0
    assert (here / "matrix.md").read_text().startswith("# Which")


@pytest.mark.parametrize("args", [["check", "wrong.retouch"], ["stages"], ["--help"], ["run", "--help"], ["nothing"]])
def test_the_process_ends_without_a_word_of_its_own(here, args):
    """Python would complain of a broken pipe when it flushes at its end, and change the exit code to 120."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "retouch", *args]
    done = subprocess.run(command, cwd=here, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    with_listener = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (with_listener.returncode, with_listener.stderr)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_were_never_open_are_none_to_talk_to(here, closed):
    command = f"{sys.executable} -m retouch fmt - {closed} < loose.retouch"
    assert subprocess.run(command, shell=True, cwd=here, stderr=subprocess.DEVNULL, check=False).returncode == 0


NOWHERE = """
import os
from retouch.cli import main
nowhere = os.stat(os.devnull).st_rdev
main.main = lambda: sum(1 << k for k in range(3) if os.fstat(k).st_rdev == nowhere)
main.process()
"""


@pytest.mark.parametrize(("closed", "nowhere"), [("<&-", 1), ("2>&-", 4), ("<&- >&- 2>&-", 7)])
def test_what_was_never_open_leads_nowhere_so_that_nothing_gets_its_number(closed, nowhere):
    """A pipe of ours that got it would be taken for standard error, kept, and be waited for at the end."""
    command = f"{sys.executable} -c '{NOWHERE}' {closed} | cat"
    shell = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(shell, stdin=subprocess.PIPE, capture_output=True, check=False)
    assert done.returncode == nowhere


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize(("args", "code"), [(["stages"], 4), (["check", "loose.retouch"], 0), (["models"], 4)])
def test_an_answer_that_cannot_be_kept_is_a_failure(here, args, code):
    with open("/dev/full", "w") as full, contextlib.redirect_stdout(full), contextlib.chdir(here):
        assert main.main(args) == code


@pytest.mark.thorough
def test_a_stream_that_lacks_a_character_spells_it_out(here):
    """A run is not lost to the letters of a file's name."""
    (here / "cat.png").rename(here / "猫.png")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "retouch", "plan", "-e", EDIT, "猫.png"]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\\u732b.png" in done.stdout


class Terminal(io.StringIO):
    """A stream that says that someone looks at it."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_no_control_characters_and_a_file_gets_them_all(here):
    """Whatever a command prints of others' texts: here a caption that writes backwards."""
    args = ["plan", "-e", EDIT, "cat.png", "--caption", "a cat \u202eback\u202c"]
    for stream, marked in ((Terminal(), False), (io.StringIO(), True)):
        with contextlib.redirect_stdout(stream), contextlib.chdir(here):
            assert main.main(args) == 0
        assert ("\u202e" in stream.getvalue()) == marked
        assert ("\\u202e" in stream.getvalue()) != marked


@pytest.mark.parametrize("encoding", ["ascii", "cp1251", "utf-8"])
def test_carets_stand_under_what_is_meant_where_characters_before_it_are_spelt_out(here, encoding):
    """In a stream that has no bytes for them, and of those that a terminal would obey."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    recipe = 'invert sdedit "c\u00e4t"->"\u043a\u043e\u0442\u200e" stepz=2'
    with contextlib.redirect_stderr(stream), contextlib.chdir(here):
        assert main.main(["check", "-e", recipe, "cat.png"]) == 1
    stream.seek(0)
    lines = stream.read().splitlines()
    carets = next(each for each in lines if "^" in each)
    shown = lines[lines.index(carets) - 1]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "stepz", lines
