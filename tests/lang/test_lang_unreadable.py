"""What is no recipe at all is said to be so, at once, whatever it is."""

import re
from pathlib import Path

import pytest

from retouch.check.reading.captions import caption_beside
from retouch.cli.main import main
from retouch.core.declared.folders import UnfitFolder
from retouch.graph.folders import FilesBelow
from retouch.lang.diagnostics import Report

ENDLESS = Path("/dev/zero")
FILES = {
    "utf-16": ("invert ddim\n".encode("utf-16"), "RT123", "it is UTF-16\n"),
    "utf-16 unmarked": ("invert ddim\n".encode("utf-16-be"), "RT123", "it is UTF-16BE without a mark"),
    "utf-32": ("invert ddim\n".encode("utf-32"), "RT123", "it is UTF-32\n"),
    "utf-32 unmarked": ("invert ddim\n".encode("utf-32-le"), "RT123", "it is UTF-32LE without a mark"),
    "latin-1": ('open "café.png"\n'.encode("latin-1"), "RT123", "byte 9 is 'é' as in Windows-1252 or Latin-1"),
    "damaged": ('open "cafés ".png"\n'.encode().replace(b"s ", b"s\xc3"), "RT123", "byte 12 is no part of a character"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "RT123", "is zero"),
    "escape sequences": (b"invert ddim \x1b[2J\x1b]0;title\x07\n", "RT118", "an invisible character (U+001B)"),
    "a long line": (b"invert ddim" + b" " * 20_000 + b" | | sample\n", "RT105", "a stage is missing"),
    "too long": (b"invert ddim\n" * 50_000, "RT122", "at most 500,000"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_recipe_is_said_to_be_so(name, tmp_path, capsys):
    """With a code, and nothing in the answer that a terminal would obey or that fills it."""
    content, code, said = FILES[name]
    file = tmp_path / "odd.retouch"
    file.write_bytes(content)
    assert main(["check", str(file)]) == 1
    answer = capsys.readouterr().err
    assert f"error[{code}]" in answer
    assert said in answer
    assert len(answer) < 3000
    assert not any(ord(char) < 32 and char not in "\t\n" for char in answer)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be", "latin-1", "cp1252"])
def test_a_text_in_another_encoding_is_shown_as_it_was_written(encoding, tmp_path, capsys):
    """With the command that converts it; a library that a recipe names, too, which is not read in another way."""
    text = "# für den Café\r\ndef swap() = invert ddim\n"
    (tmp_path / "odd.retouch").write_bytes(text.encode(encoding))
    (tmp_path / "user.retouch").write_text('use "odd.retouch"\nswap()\n', "utf-8")
    for name in ("odd", "user"):
        assert main(["check", str(tmp_path / f"{name}.retouch")]) == 1
        answer = capsys.readouterr().err
        assert "error[RT123]" in answer
        assert "1 | # für den Café\n" in answer
        (wanted,) = re.findall("iconv -f (.*) -t UTF-8 OLD > NEW", answer)
        assert text.encode(encoding).decode(wanted) == text  # the name is one that converters know


@pytest.mark.skipif(not ENDLESS.exists(), reason="there is no endless file here")
def test_a_file_that_never_ends_is_refused(capsys):
    """Only as much is read as shows that it is too long."""
    assert main(["check", str(ENDLESS)]) == 1
    assert "error[RT122]: a recipe of at least 500,001 bytes; at most 500,000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "said"), [(".", "'.' is a folder; name a recipe in it"), ("nope.retouch", "there is no recipe")]
)
def test_a_path_that_is_no_file_is_a_wrong_command(path, said, capsys):
    """Nothing was read, so there is no place to show."""
    assert main(["check", path]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-be", "latin-1"])
def test_a_text_of_a_folder_in_another_encoding_is_refused_with_the_command_that_converts_it(encoding, tmp_path):
    (tmp_path / "transforms.json").write_bytes('{"wörter": []}'.encode(encoding))
    with pytest.raises(UnfitFolder, match=r"'transforms\.json' is not UTF-8: ") as refused:
        FilesBelow(tmp_path).text("transforms.json")
    assert "iconv -f" in refused.value.mend


def test_a_text_of_a_folder_may_begin_with_a_mark_of_utf8(tmp_path):
    (tmp_path / "transforms.json").write_bytes("{}".encode("utf-8-sig"))
    assert FilesBelow(tmp_path).text("transforms.json") == "{}"


def test_a_picture_of_a_folder_that_is_missing_is_asked_for_by_a_near_name(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0001.png").touch()
    with pytest.raises(UnfitFolder) as refused:
        FilesBelow(tmp_path).size("image/0001.png")
    assert refused.value.mend == "did you mean 'images/0001.png'?"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("eine Katze für Öl".encode("latin-1"), "byte 12 is 'ü' as in Windows-1252 or Latin-1"),
        ("a cat".encode("utf-16-le"), "it is UTF-16LE without a mark"),
        ("a cat".encode("utf-16")[:-1], "it is not UTF-16-LE, as its mark says"),
    ],
)
def test_a_caption_that_cannot_be_read_says_how_it_is_written(data, said, tmp_path):
    (tmp_path / "cat.txt").write_bytes(data)
    assert caption_beside(tmp_path / "cat.png", report := Report()) is None
    assert said in report.items[0].message
