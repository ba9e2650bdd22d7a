"""Fields as other programs write them are told with our own, and odd names that mean nothing are left alone."""

from __future__ import annotations

import pytest
from PIL import Image

from retouch.check.reading.foreign_fields import foreign_field, meant_field
from retouch.cli.main import main

FIELDS = ("name", "index", "turn", "seed", "steps")


@pytest.mark.parametrize(
    ("text", "what", "meant"),
    [
        ("$name.png", "$name", "{name}.png"),
        ("out/${NAME}-$seed.png", "${NAME}", "out/{name}-{seed}.png"),
        ("%s_%03d.png", "%03d", "{name}_{index}.png"),
        ("%(steps)s.png", "%(steps)s", "{steps}.png"),
        ("%name%.png", "%name%", "{name}.png"),
        ("[name]<index>.png", "[name]", "{name}{index}.png"),
        ("$file.png", "$file", "{name}.png"),
        ("*-dog.png", "*", "{name}-dog.png"),
        ("$HOME/x.png", "$HOME", None),
        ("${}.png", "${}", None),
    ],
)
def test_what_others_write_is_told_as_our_field(text: str, what: str, meant: str | None) -> None:
    assert foreign_field(text, FIELDS, written=True) == (what, meant)


@pytest.mark.parametrize(
    "text", ["ca$h.png", "100%d.png", "50%.png", "[old] <x>.png", "5$.png", "%discount.png", "{name}.png"]
)
def test_names_that_only_look_odd_are_names(text: str) -> None:
    assert foreign_field(text, FIELDS, written=True) is None


def test_a_star_in_what_is_read_is_a_pattern() -> None:
    assert foreign_field("masks/*.png", FIELDS, written=False) is None


@pytest.mark.parametrize(
    ("word", "field"),
    [("NAME", "name"), ("index:04d", "index"), ("stem", "name"), ("i", "index"), ("cat", None), ("", None)],
)
def test_a_field_in_another_spelling_is_known(word: str, field: str | None) -> None:
    assert meant_field(word, FIELDS) == field
    assert meant_field(word, ()) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["-e", 'open "frame_%04d.png" | invert ddim'], 'write "frame_*.png"'),
        (["-e", 'open "$FILES" | invert ddim'], "write the path itself"),
        (["-e", 'invert ddim | save "out/%03d.png"', "cat.png"], 'write "out/{index}.png"'),
        (["-e", "invert ddim", "cat.png", "-o", "out/$name.png"], 'write "out/{name}.png"'),
        (["-e", 'invert ddim | mask file "%s_mask.png" | blend latent', "cat.png"], 'write "{name}_mask.png"'),
        (["-e", "invert ddim", "$FILE.png"], "your shell fills nothing in"),
        (["-e", "invert ddim", "{cat,dog}.png"], "your shell fills nothing in"),
    ],
)
def test_what_to_write_depends_on_what_the_path_is_for(line, said, tmp_path, monkeypatch, capsys) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    assert main(["check", *line]) == 1
    assert said in capsys.readouterr().err
