"""What plugins write: to standard error alone, each line with the plugin's name, and what others write stays whole."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from retouch.cli.main import main
from retouch.cli.streams.last_words import last_words
from retouch.cli.streams.speakers import known_plugins, speaking
from tests.faulty.installing import install


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


def saying(site: Path, monkeypatch: pytest.MonkeyPatch, source: str, err: io.StringIO | None = None) -> tuple[str, str]:
    """What is on both streams when a plugin has done this and the engine then says "ours" on both."""
    install(site, "says", "")
    known_plugins.cache_clear()
    out, err = io.StringIO(), err or io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with speaking():
        exec(compile(source, "f_says.py", "exec"), {"__name__": "f_says"})
        exec("print('ours')\nimport sys\nprint('ours', file=sys.stderr)", {"__name__": "retouch.cli.commands.run"})
    monkeypatch.undo()
    known_plugins.cache_clear()
    return out.getvalue(), err.getvalue()


SAID = {
    "words": ("import sys; print('one\\ntwo', file=sys.stderr)", "f_says: one\nf_says: two\n"),
    "half a line": ("import sys; sys.stderr.write('half')", "ours\nf_says: half\n"),
    "half a line that is flushed": ("import sys; print('half', end='', file=sys.stderr, flush=True)", "f_says: half\n"),
    "lines": ("import sys; sys.stderr.writelines(['a\\n', 'b\\n'])", "f_says: a\nf_says: b\n"),
    "bytes": ("import sys; sys.stderr.buffer.write(b'a\\xff\\n')", "f_says: a\\xff\n"),
    "bytes on the other": ("import sys; sys.stdout.buffer.write(b'a\\n')", "f_says: a\n"),
    "lines on the other": ("import sys; sys.stdout.writelines(['a\\n', 'b\\n'])", "f_says: a\nf_says: b\n"),
    "a half on the other": ("import sys; print('a', end='', flush=True); print('b')", "f_says: ab\n"),
    "a stream of its own on it": (
        "import io, sys; w = io.TextIOWrapper(sys.stdout.detach(), 'utf-8'); print('a', file=w); w.close()",
        "f_says: a\n",
    ),
    "a log": ("import logging as g; g.StreamHandler().emit(g.LogRecord('x', 30, '', 1, 'a', (), None))", "f_says: a\n"),
    "a bar": (
        "import sys\nfor i in range(2): print(f'\\r{i}', end='', file=sys.stderr, flush=True)\nprint(file=sys.stderr)",
        "\rf_says: 0\rf_says: 1\n",
    ),
    "a bar that is left": ("import sys; print('\\r1', end='', file=sys.stderr, flush=True)", "\rf_says: 1\n"),
}


@pytest.mark.parametrize("how", SAID)
def test_what_a_plugin_says_has_its_name_and_no_answer_has(
    how: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, said = SAID[how]
    out, err = saying(site, monkeypatch, source)
    assert out == "ours\n"
    assert err == (said if "ours" in said else f"{said}ours\n")


def test_a_traceback_and_a_warning_are_whole_but_for_the_name(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "import sys, traceback, warnings\ntry: 1 / 0\nexcept ZeroDivisionError: traceback.print_exc()\n"
        "print(warnings.formatwarning('old', UserWarning, 'f_says.py', 7, ''), end='', file=sys.stderr)\n"
    )
    _, err = saying(site, monkeypatch, source)
    *lines, last = err.splitlines()
    assert all(line.startswith("f_says: ") for line in lines)
    said = [line.removeprefix("f_says: ") for line in lines]
    assert said[0] == "Traceback (most recent call last):"
    assert "ZeroDivisionError: division by zero" in said
    assert said[-1] == "f_says.py:7: UserWarning: old"
    assert last == "ours"


def test_what_is_begun_and_never_awaited_is_told_with_its_place(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "async def later(): pass\n\ndef forgets():\n    later()\n\nforgets()\n"
    module = ModuleType("f_says")
    module.__file__ = "f_says.py"
    monkeypatch.setitem(sys.modules, "f_says", module)
    depth = sys.get_coroutine_origin_tracking_depth()
    with warnings.catch_warnings(), last_words():
        warnings.simplefilter("always")
        sys.set_coroutine_origin_tracking_depth(3)
        _, err = saying(site, monkeypatch, source)
        sys.set_coroutine_origin_tracking_depth(depth)
    assert err == "f_says: 'forgets' begins 'later' and never awaits it (f_says.py, line 4): write 'await'\nours\n"


def test_what_a_plugin_warns_of_has_its_name_once_however_often_its_stage_gives_way(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import warnings\nfor _ in range(3):\n    with warnings.catch_warnings():\n"
        "        warnings.simplefilter('default')\n        warnings.warn('old')\nwarnings.warn('older')\n"
    )
    with warnings.catch_warnings(), last_words():
        warnings.simplefilter("default")
        _, err = saying(site, monkeypatch, source)
    assert [line for line in err.splitlines() if "Warning" in line] == [
        "f_says: f_says.py:5: UserWarning: old",
        "f_says: f_says.py:6: UserWarning: older",
    ]


def test_a_bar_on_a_terminal_is_as_wide_as_it_was(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tqdm import tqdm

    source = (
        "from tqdm import tqdm\nimport sys\nfor i in tqdm(range(3), ncols=40, file=sys.stderr): pass\nprint('done')"
    )
    _, err = saying(site, monkeypatch, source, Terminal())
    bars = err.partition("f_says: done")[0].split("\r")
    assert tqdm.format_meter(3, 3, 0.1, ncols=40).startswith("100%")
    assert max(map(len, bars)) <= 41
    assert any("100%" in bar for bar in bars)
    assert "f_says: done\n" in err


def test_a_descriptor_that_a_plugin_asks_for_is_standard_errors(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a child that is given `sys.stdout` says nothing in the middle of the answers."""
    install(site, "says", "")
    known_plugins.cache_clear()
    with open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        with speaking():
            source = "import os, subprocess, sys\nos.write(sys.stdout.fileno(), b'a')\n"
            source += "os.write(sys.stdout.buffer.fileno(), b'b')\nsubprocess.run(['echo', 'c'], stdout=sys.stdout)\n"
            exec(compile(source, "f_says.py", "exec"), {"__name__": "f_says"})
            exec("print('ours')", {"__name__": "retouch.cli.commands.run"})
    monkeypatch.undo()
    known_plugins.cache_clear()
    assert (tmp_path / "out").read_text() == "ours\n"
    assert (tmp_path / "err").read_text() == "abc\n"


class Cell:
    """A stream that can be written to, which is all that it can."""

    def __init__(self) -> None:
        self.said = ""

    def write(self, text: str) -> None:
        self.said += text


def test_a_stream_that_can_only_be_written_to_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Cell(), Cell()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["explain", "RT301"]) == 0
    assert main(["explain", "RT000"]) == 2
    assert (sys.stdout, sys.stderr) == (out, err)
    monkeypatch.undo()
    assert out.said.startswith("error[RT301]")
    assert "RT000" in err.said
