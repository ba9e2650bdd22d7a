"""The journal of a folder says what became of everything, whoever writes it; `retouch status` reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retouch.pictures.journal import NAME, FolderJournal, journal_of
from tests.e2e.command import COPY, retouch
from tests.e2e.command import run_text as run
from tests.pictures.picture_makers import paint

pytestmark = pytest.mark.usefixtures("small_for_commands")


def test_a_journal_says_what_became_of_everything(three: Path) -> None:
    (three / "two.png").write_bytes((three / "two.png").read_bytes()[:-900])
    (three / "three.txt").unlink()
    assert run(three, "one.png", "two.png", "three.png", "-o", "out", recipe=f'{COPY} | attend p2p "cat"->"dog"').code
    assert run(three, "one.png", "two.png", "-o", "out").code == 3
    lines = FolderJournal(three / "out").lines()
    by_event = {line["event"]: line for line in lines}
    last = [line["event"] for line in lines if line["run"] == lines[-1]["run"]]
    assert (last[0], sorted(last[1:-1]), last[-1]) == ("run", ["failed", "saved"], "end")
    assert by_event["failed"]["code"] == "RT504"
    assert (by_event["failed"]["file"], by_event["failed"]["source"]) == ("two.png", "two.png")
    assert by_event["end"] | {"saved": 1, "failed": 1, "how": "done"} == by_event["end"]
    assert str(three) not in (three / "out" / NAME).read_text()


def test_many_write_one_journal_and_a_cut_line_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"event": "saved", "file": "a.png"')  # cut by a kill
    code = (
        "import sys; from pathlib import Path; from retouch.pictures.journal import FolderJournal\n"
        "journal = FolderJournal(Path(sys.argv[1]))\n"
        "for i in range(50): journal.add('saved', file=f'{sys.argv[2]}-{i}.png', sha256='0', work='x' * 3000)\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(3)]
    assert [each.wait(600) for each in started] == [0, 0, 0]
    lines = FolderJournal(tmp_path).lines()
    assert {line["file"] for line in lines} == {f"{n}-{i}.png" for n in range(3) for i in range(50)}
    assert len(lines) == 150


def test_what_anyone_wrote_into_a_journal_is_passed_over(three: Path) -> None:
    run(three, "one.png", "-o", "out")
    path = three / "out" / NAME
    path.write_bytes(b"[1]\nnull\n\xff\xfe\n" + b"[" * 5000 + b'\n{"event": "saved", "file": 3}\n' + path.read_bytes())
    assert run(three, "one.png", "-o", "out").files("kept") == {"one.png"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_journal_that_is_no_file_stops_nothing(three: Path, kind: str) -> None:
    """Folders come from anyone: a link there may lead to any file of this machine."""
    (three / "mine").write_text("mine\n")
    (three / "out").mkdir()
    place = three / "out" / NAME
    {"link": lambda: place.symlink_to(three / "mine"), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()
    ran = run(three, "one.png", "-o", "out")
    assert (ran.code, ran.files("saved")) == (0, {"one.png"})
    assert "the journal could not be written" in ran.err
    assert (three / "mine").read_text() == "mine\n"
    assert run(three, "one.png", "-o", "out").files("kept") == {"one.png"}


def test_a_journal_is_read_once_and_then_what_was_added(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    assert journal is journal_of(tmp_path)
    FolderJournal(tmp_path).add("saved", file="a.png", sha256="1", work="w")
    assert (journal.saved("a.png") or {})["sha256"] == "1"
    FolderJournal(tmp_path).add("saved", file="a.png", sha256="2", work="w")
    assert (journal.saved("a.png") or {})["sha256"] == "2"
    (tmp_path / NAME).write_text("")
    assert journal.saved("a.png") is None


def test_the_status_tells_what_stands_there_and_what_still_fails(three: Path) -> None:
    """A picture that was refused has failed until a run takes it, whatever its result is called."""

    def told() -> dict[str, list[str]]:
        found = json.loads(retouch("status", "out", "--json", folder=three).out)
        return {what: found[what] for what in ("there", "changed", "gone")} | {
            "failed": [line["source"] for line in found["failed"]]
        }

    good, recipe = (three / "two.png").read_bytes(), f'{COPY} | save "out/x_{{name}}.png"'
    pictures = ("one.png", "two.png", "three.png")
    (three / "two.png").write_bytes(b"no picture")
    assert run(three, *pictures, recipe=recipe).code == 3
    assert told() == {"there": ["x_one.png", "x_three.png"], "changed": [], "gone": [], "failed": ["two.png"]}
    run(three, "one.png", "--again", recipe=recipe)
    assert told()["failed"] == ["two.png"]
    (three / "two.png").write_bytes(good)
    run(three, *pictures, recipe=recipe)
    assert told() == {"there": ["x_one.png", "x_three.png", "x_two.png"], "changed": [], "gone": [], "failed": []}
    paint(three / "out" / "x_one.png")
    (three / "out" / "x_two.png").unlink()
    assert told() == {"there": ["x_three.png"], "changed": ["x_one.png"], "gone": ["x_two.png"], "failed": []}
    words = retouch("status", "out", folder=three).out
    assert words.startswith("1 result is there, 1 changed since, 1 gone\n")
    assert words.endswith("\nchanged since: x_one.png\ngone: x_two.png\n")


def test_a_journal_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / NAME).symlink_to("elsewhere")  # which may be anybody's file
    ran = retouch("status", folder=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert f"the journal '{NAME}' cannot be read: " in ran.err
