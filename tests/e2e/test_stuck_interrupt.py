"""Ctrl-C ends a run whose stage does not give way, and says whose code it was in; nothing but answers is on stdout."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.command import draw
from tests.e2e.warm import PATIENCE, RETOUCH, Warm, at_last
from tests.faulty.faults import FINE, HEAD, mask
from tests.faulty.test_faulty_plugins import install

# Whatever it has come to when the signal is sent: its words are printed where it catches.
SWALLOWS = """begun = False
while True:
    try:
        if not begun:
            begun = True
            print('begun')
        n = 0  # a signal is heard where the loop below goes back, and belongs to the instruction before it
        while True: n += 1
    except BaseException: pass"""
HUNG = {"loops": "print('begun')\nwhile True: pass", "catches": SWALLOWS}


def start(folder: Path, recipe: str, *more: str) -> Warm:
    args = ("run", "-e", recipe, "--force", *more)
    return Warm(RETOUCH, *args, folder=folder, env={"PYTHONPATH": str(folder)})


@pytest.mark.parametrize("name", HUNG)
def test_ctrl_c_ends_a_stage_that_hangs_and_names_it(name: str, tmp_path: Path) -> None:
    draw(tmp_path / "cat.png")
    fault = mask(name, HUNG[name], "")
    install(tmp_path, name, HEAD + fault.source)
    with start(tmp_path, fault.flow) as process:
        assert f"f_{name}: begun\n" in process.stderr
        process.send_signal(signal.SIGINT)
        if name == "catches":
            waits = process.stderr.readline()
            assert waits.startswith(f"stopping: '{name}' of f_{name} (f_{name}.py, line ")
            process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert at_last(said).startswith(f"stopped in '{name}' of f_{name} (f_{name}.py, line ")
    assert "Traceback" not in said
    assert not out


@pytest.mark.thorough
def test_ctrl_c_that_a_plugin_catches_while_it_is_imported_ends_the_run(tmp_path: Path) -> None:
    draw(tmp_path / "cat.png")
    fault = mask("imported", f"open('ran', 'w')\nreturn {FINE}", "")
    body = "    print('begun')\n    while True: time.sleep(0.01)\n"
    caught = f"import time\ntry:\n{body}except BaseException:\n    open('caught', 'w')\n"
    install(tmp_path, "imported", HEAD + caught + fault.source)
    with start(tmp_path, fault.flow) as process:
        assert "f_imported: begun\n" in process.stderr
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert at_last(said).startswith("stopped; what was finished is kept")  # by nobody's code: it has given way
    assert (tmp_path / "caught").exists()
    assert not (tmp_path / "ran").exists()


@pytest.mark.thorough
def test_what_reaches_the_descriptors_is_no_answer(tmp_path: Path) -> None:
    """Bytes past the streams, a child's, closed streams and words at the end: stdout is JSON all the same."""
    draw(tmp_path / "cat.png")
    body = "import atexit\natexit.register(lambda: print('at the end'))\nos.write(1, b'raw\\n')\n"
    body += "os.system('echo from a child')\nsys.__stdout__.write('kept\\n')\nsys.__stdout__.flush()\n"
    body += f"sys.stdout.close()\nsys.__stdout__.close()\nreturn {FINE}"
    fault = mask("leaks", body, "")
    install(tmp_path, "leaks", HEAD + fault.source)
    with start(tmp_path, fault.flow, "--json") as process:
        out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "done"
    for words in ("raw", "from a child", "kept"):
        assert words in said
