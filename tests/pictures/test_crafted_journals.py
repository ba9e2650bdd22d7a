"""A journal is a file that anyone may have written: it is read in little memory, and nothing in it is obeyed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.commands.status import main
from retouch.cli.streams.plain import one_line
from retouch.graph.nodes import Picture
from retouch.graph.work import sha256
from retouch.lang.diagnostics import Diagnostic
from retouch.lang.syntax import NOWHERE
from retouch.pictures import standing
from retouch.pictures.journal import LONGEST, NAME, FolderJournal
from retouch.pictures.standing import digest
from retouch.run.files.run_journal import RunJournal

SAVED = {"event": "saved", "sha256": "1", "work": "2"}
NAMES = (
    "a" * 300,
    "\ud800.png",
    "n\0ul",
    "..",
    "",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "fake\nfailed: all",
    "\x1b[2J",
    5,
    [],
)


def crafted(folder: Path) -> Path:
    lines = [json.dumps({**SAVED, "file": name}) for name in NAMES]
    lines += [
        json.dumps({"event": event, "run": [1], "at": 9e999, "file": "x"}) for event in ("run", "end", ["x"], None)
    ]
    lines += [json.dumps({"event": "refused", "source": name, "code": {}, "message": 1}) for name in NAMES]
    lines += [
        "[" * 100_000,
        '{"event": "run", "run": ' + "9" * 10_000 + "}",
        "1",
        "null",
        "\udfff",
        '"' * (3 * LONGEST),
    ]
    (folder / NAME).write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + b"\n{half")
    return folder


@pytest.mark.parametrize("as_json", [False, True])
def test_status_of_a_crafted_journal_is_words_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    assert main(Namespace(folder=crafted(tmp_path), json=as_json)) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\nfailed: all" not in said
    assert "gone: /etc" not in said
    if as_json:
        found = json.loads(said)
        assert not found["there"]
        assert {"..", "/etc/passwd", "../../etc/passwd"}.isdisjoint(found["gone"])


def test_status_finds_files_under_any_locale(tmp_path: Path) -> None:
    """A journal has names in UTF-8, and files are called by the same bytes, also where a locale has no such letters."""
    path = tmp_path / "Kätzchen.png"
    path.write_bytes(b"as it was")
    FolderJournal(tmp_path).add("saved", file=path.name, sha256=digest(path), work="mine")
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    asked = [sys.executable, "-m", "retouch", "status", str(tmp_path)]
    ran = subprocess.run(asked, env={**os.environ, **bare}, capture_output=True, check=True)
    assert ran.stdout.startswith(b"1 result is there\n")


def test_an_answer_is_one_line_whatever_a_file_is_called() -> None:
    assert one_line("saved out/a\nfailed b.png") == "saved out/a\\nfailed b.png"


def test_a_line_that_never_ends_takes_no_memory_and_what_follows_is_read(tmp_path: Path) -> None:
    journal, line = FolderJournal(tmp_path), json.dumps({**SAVED, "file": "x.png"}).encode() + b"\n"
    (tmp_path / NAME).write_bytes(b"x" * (5 * LONGEST) + b"\n" + line + b"y" * (2 * LONGEST + 7))
    assert journal.saved("x.png")
    assert len(journal.lines()) == 1
    journal.add("saved", file="z.png", sha256="3", work="4")
    assert journal.saved("z.png")
    assert FolderJournal(tmp_path).saved("z.png")
    (tmp_path / NAME).write_bytes(line[:-5])
    assert journal.saved("x.png") is None
    with (tmp_path / NAME).open("ab") as file:
        file.write(line[-5:])
    assert journal.saved("x.png"), "a line that is written while it is read is read when it is whole"


def test_of_two_runs_that_write_one_file_both_know_it_as_theirs(tmp_path: Path) -> None:
    """Who put the last file may have written the first line: a file of either is no stranger's."""
    path, journal = tmp_path / "table.csv", FolderJournal(tmp_path)
    for work, text in (("mine", "1,2\n"), ("theirs", "3,4\n")):
        path.write_text(text)
        sha256 = digest(path)
        journal.add("saved", file=path.name, sha256=sha256, work=work)
    path.write_text("1,2\n")
    found = standing.standing(path)
    assert (found.kind, found.work) == ("own", "mine")
    path.write_text("5,6\n")
    assert standing.standing(path).kind == "edited"


def test_what_is_no_file_beside_a_result_is_not_waited_for(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    os.mkfifo(tmp_path / "x.png.retouch.json")
    (tmp_path / "cameras.json").write_text('{"frames": ["cameras-0123456789ab/a\0b", "cameras-0123456789ab/p"]}')
    (tmp_path / "cameras-0123456789ab").mkdir()
    os.mkfifo(tmp_path / "cameras-0123456789ab" / "p")
    assert standing.standing(tmp_path / "x.png").kind == "foreign"
    FolderJournal(tmp_path).add("saved", file="cameras.json", sha256=digest(tmp_path / "cameras.json"), work="w")
    assert standing.standing(tmp_path / "cameras.json").kind == "own"
    for name in ("a" * 300, "n\0ul", "\ud800"):
        assert standing.standing(tmp_path / name).kind == "nothing"


WRONG_TYPES = (
    {"event": "run"},
    {"event": "run", "run": None, "at": "x"},
    {"event": "end", "run": "a", "how": "done", "saved": "5", "failed": 0},
    {"event": "end", "run": "a", "how": "done", "saved": True, "failed": 0},
    {"event": "saved", "file": 5, "work": "w", "sha256": "1"},
    {"event": "failed", "file": "x.png", "code": {}, "message": 1},
    {"event": "refused", "source": [], "code": "RT1", "message": "m"},
    {"event": "taken", "source": "x.png", "at": 5},
    {"event": ["run"]},
    ["run"],
    None,
    1,
)


@pytest.mark.parametrize("line", WRONG_TYPES)
def test_a_line_of_wrong_types_counts_for_nothing_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: object
) -> None:
    """Each kind of line by itself: "run None of …" was said of the first two."""
    (tmp_path / NAME).write_text(json.dumps(line) + "\n")
    assert FolderJournal(tmp_path).lines() == []
    assert main(Namespace(folder=tmp_path, json=False)) == 0
    said = capsys.readouterr()
    assert said.out == "0 results are there\n"
    assert said.err.startswith("warning[RT461]: 1 line of ")
    assert main(Namespace(folder=tmp_path, json=True)) == 0
    assert json.loads(capsys.readouterr().out)["misread"] == 1


def test_what_retouch_writes_is_of_the_right_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what another version tells besides, or a kill cuts off, is no fault."""
    fault = Diagnostic("RT504", "it is no picture", NOWHERE, "", "")
    journal = RunJournal([], None)
    journal._results = {tmp_path: 1}
    journal._saved, journal._failed = {tmp_path: 0}, {tmp_path: 0}
    with journal.going():
        journal.saved(tmp_path / "x.png", "w", "1")
        journal.failed(tmp_path / "y.png", Picture(Path("cat.png")), fault)
        journal.refused(Picture(Path("dog.png")), [fault])
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "moved", "from": 5}\n{"event": "sav\n')
    assert main(Namespace(folder=tmp_path, json=False)) == 0
    said = capsys.readouterr()
    assert (said.err, "done, 1 saved, 2 failed" in said.out) == ("", True)
    assert len(FolderJournal(tmp_path).lines()) == 6


def test_a_name_whose_bytes_are_no_words_is_told_and_found(tmp_path: Path) -> None:
    """Such names come of other systems, and all but plain letters are such where the locale has no others."""
    old, umlaut = "bad\udcff.png", "b\udcc3\udca4r.png"  # as os.fsdecode gives them, the second where LANG=C
    for name in (old, umlaut):
        FolderJournal(tmp_path).add("saved", file=name, sha256="1", work="2")
    again = FolderJournal(tmp_path)
    assert all(again.saved(name) and again.saved_as(name, "1") for name in (old, umlaut, "bär.png"))
    assert sha256({"path": old}) != sha256({"path": "bad.png"})
