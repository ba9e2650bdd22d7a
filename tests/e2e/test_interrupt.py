"""Stopping loses nothing that was finished and leaves nothing that was not; one bad picture harms no other."""

from __future__ import annotations

import signal

import pytest
from PIL import Image

from tests.e2e.command import draw, left_in, retouch
from tests.e2e.warm import PATIENCE, RETOUCH, Warm, at_last


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", pytest.param("SIGHUP", marks=pytest.mark.bench)])
def test_a_run_that_is_stopped_leaves_no_half_written_file_and_says_how_to_go_on(cat, name):
    ending = signal.Signals[name]
    long = 'invert null_text "cat"->"dog" steps=500'
    with Warm(RETOUCH, "run", "-e", long, "cat.png", "-o", "out", "--json", folder=cat.parent) as process:
        for line in process.stdout:
            if '"rows"' in line and "progress" in line:
                break
        process.send_signal(ending)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + ending, said
    assert at_last(said) == "stopped; what was finished is kept, and the same command goes on from there\n"
    told = retouch("status", "out", folder=cat.parent)
    assert "stopped, 0 saved, 0 failed" in told.out
    assert "Traceback" not in said
    assert left_in(cat.parent) == {"cat.png", "cat.txt"}


def test_one_bad_picture_fails_alone(tmp_path):
    good = draw(tmp_path / "good.png")
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:-2000])
    bad.with_suffix(".txt").write_text("a cat")
    other = draw(tmp_path / "other.png")
    ran = retouch(
        "run", "-e", 'invert ddim "cat"->"dog" steps=2', good.name, bad.name, other.name, "-o", "out", folder=tmp_path
    )
    assert ran.code == 3, ran.out + ran.err
    assert "RT504" in ran.out + ran.err
    assert left_in(tmp_path / "out") == {"good.png", "other.png"}
    for path in (tmp_path / "out").glob("*.png"):
        Image.open(path).load()
