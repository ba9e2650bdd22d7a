"""Lines that a newcomer types, each of which once surprised: what is said, and whether it can be followed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.main import main
from tests.e2e.command import draw, retouch

EDIT = 'invert sdedit "cat"->"dog"'
CAPTION = ("--caption", "a cat")


@pytest.fixture
def folder(tmp_path):
    for name in ("cat.png", "line.png", "-dash.png", "photo.jpg"):
        draw(tmp_path / name)
    (tmp_path / "empty.png").write_bytes(b"")
    return tmp_path


@pytest.fixture
def hostile(folder):
    """With links in circles, and a folder without anything."""
    for name in ("loop", "loop.png"):
        (folder / name).symlink_to(folder / name)
    (folder / "empty").mkdir()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("-e", EDIT, "cat.png", *CAPTION, "line.png"),
        ("cat.png", "-e", EDIT, "line.png", "-o", "out", *CAPTION),
        (*CAPTION, "-e", EDIT, "cat.png", "--seed", "3", "line.png"),
    ],
)
@pytest.mark.parametrize("command", ["check", "plan"])
def test_pictures_may_stand_before_and_after_options(folder, command, words):
    done = retouch(command, *words, "--json", folder=folder)
    assert (done.code, done.err) == (0, "")
    if command == "plan":
        assert all(f'/{name}", "caption"' in done.out for name in ("cat.png", "line.png"))


SAID = [
    (("-dash.png",), 2, "a file whose name begins with '-' is ./-dash.png"),
    (("--nonsense", "cat.png"), 2, "unrecognized arguments: --nonsense"),
    (("cat.png", "-o", ""), 2, "-o: takes a name, and this is empty"),
    (("cat.png", "--model", ""), 2, "--model: takes a name, and this is empty"),
    (("",), 1, "help: name an image"),
    (("*.png",), 1, "a pattern between quotes is one name; without them your shell puts in the files"),
    (("*.tif",), 1, "no file matches this pattern"),
    (("/dev/null",), 1, "what has this name is no file; name an image"),
    (("cta.png",), 1, "did you mean 'cat.png'?"),
    (("nope.png",), 1, "name an image that is there"),
    (("photo.jpeg",), 1, "did you mean 'photo.jpg'?"),
    (("empty.png",), 1, "'empty.png' is not an image that can be read: it is empty"),
]


# Each is refused as it is read: nothing was loaded, nothing written, and what to do stands in the sentence.
HOSTILE = [
    (("-o", "loop/x.png"), 1, "RT427", "'loop' is a link that leads nowhere"),
    (("-o", "loop.png"), 1, "RT427", "'loop.png' is a link that leads nowhere"),
    (("-o", "line.txt/x.png"), 1, "RT427", "'line.txt' is a file, not a folder"),
    (("-o", "line.png"), 1, "RT415", "save it elsewhere, or run with --force"),
    (("-o", "x" * 300 + ".png"), 1, "RT427", "longer than 255 bytes"),
    (("-o", "dog.gifx"), 1, "RT425", "write -o dog.png; it may end in"),
    (("loop.png",), 1, "RT402", "is a link that leads nowhere; name an image"),
    (("no\nne.png",), 1, "RT402", "name an image that is there"),
    (("a\0b.png",), 1, "RT402", "name an image that is there"),
    (("x" * 5000,), 1, "RT402", "name an image that is there"),
    (("empty",), 1, "RT402", "it is a folder; name its pictures, as in empty/*.png"),
    (("--seed", "-1"), 1, "RT208", "write a number from 0 to 4294967295"),
    (("--seed", "9" * 40), 1, "RT208", "write a number from 0 to 4294967295"),
    (("--seed", "1e3"), 1, "RT207", "write seed=1000"),
    (("--seed", "nan"), 1, "RT207", "takes a whole number"),
    (("--set", "steps=inf"), 1, "RT207", "takes a whole number"),
    (("--set", "nonsense=1"), 1, "RT222", "retouch stages lists the options"),
    (("--set", "nonsense"), 2, "", "--set takes NAME=VALUE, and this is 'nonsense'"),
    (("--set", "steps=2", "--set", "steps=3"), 2, "", "'steps' is set twice, to '2' and to '3'"),
    (("--set", "seed=2", "--seed", "3"), 2, "", "'seed' is set twice, to '2' and to '3'"),
    (("--caption", "a dog"), 2, "", "--caption: is given twice, as 'a cat' and as 'a dog'"),
    (("-e", "mask all"), 2, "", "-e: is given twice"),
    (("--stamp", "none", "--stamp", "full"), 2, "", "--stamp: is given twice, as 'none' and as 'full'"),
    (("--set", "new=caf\udce9"), 2, "", r"--set: takes UTF-8 text, and this is not: new=caf\udce9"),
    (("--model", "line.txt"), 1, "RT416", "is cut off, or is not a safetensors file"),
    (("--model", "empty"), 1, "RT416", "has no model_index.json"),
    (("--model", "loop.png"), 1, "RT412", "no model is called 'loop.png', and no folder"),
    (("--model", "https://example.org/x"), 1, "RT412", "download its folder or its safetensors file"),
    (("--allow", "nowhere"), 2, "", "--allow: there is no 'nowhere'"),
    (("--workers", "0"), 2, "", "takes a number from 1 to 256, and this is '0'"),
    (("--param", "new=fox"), 2, "", "unrecognized arguments: --param new=fox"),
    (("--seeed", "5"), 2, "", "unrecognized arguments: --seeed 5; did you mean --seed?"),
    (("--steps=20",), 2, "", "unrecognized arguments: --steps=20; stages have it: --set steps=20"),
    (("--num-inference-steps=20",), 2, "", "stages have it: --set steps=20"),
    (("--negative-prompt=not so",), 2, "", "stages have it: --set 'negative=not so'"),
    (("--guidence=3",), 2, "", "stages have it: --set guidance=3"),
    (("--prompt=a dog",), 2, "", 'what is to change stands in the recipe, as "cat"->"dog"; --caption says'),
    (("--output=dog.png",), 2, "", "-o is where results go"),
    (("-o", os.devnull), 1, "RT427", "is a device or a pipe, not a folder"),
]
RECIPES = {
    "bom.retouch": ("\ufeffEDIT".encode(), 0, "", ""),
    "crlf.retouch": (b"EDIT\r\n", 0, "", ""),
    "zero.retouch": (b"EDIT\0", 1, "RT123", "save it as UTF-8"),
    "utf16.retouch": ("EDIT".encode("utf-16"), 1, "RT123", "it is UTF-16"),
    "latin1.retouch": ("# café\nEDIT".encode("latin-1"), 1, "RT123", "save it as UTF-8"),
    "nothing.retouch": (b"\n# nothing\n", 1, "RT411", "add a line such as"),
    "long.retouch": (b"a" * 600_000, 1, "RT122", "at most 500,000"),
    "deep.retouch": (b"(" * 5000, 1, "RT122", "nested too deep; at most 64"),
    "number.retouch": (b"EDIT steps=" + b"9" * 5000, 1, "RT116", "is not a number here"),
    "infinite.retouch": (b"EDIT strength=1e999", 1, "RT116", "write a smaller one"),
}


@pytest.mark.parametrize(("words", "code", "named", "said"), HOSTILE, ids=lambda each: repr(each)[:60])
def test_a_hostile_line_is_refused_in_a_sentence(hostile, words, code, named, said):
    pictures = () if words[0].endswith((".png", "empty")) or len(words[0]) > 100 else ("cat.png",)
    done = retouch("check", "-e", EDIT, *CAPTION, *pictures, *words, folder=hostile)
    assert (done.code, said in done.err, "Traceback" in done.err) == (code, True, False), done.err
    assert f"error[{named}]" in done.err if named else "error[" not in done.err


@pytest.mark.parametrize("name", RECIPES)
def test_a_hostile_recipe_file_is_read_or_refused_in_a_sentence(hostile, name):
    written, code, named, said = RECIPES[name]
    edit = EDIT.encode("utf-16")[2:] if name == "utf16.retouch" else EDIT.encode()
    marker = "EDIT".encode("utf-16")[2:] if name == "utf16.retouch" else b"EDIT"
    (hostile / name).write_bytes(written.replace(marker, edit))
    done = retouch("check", name, "cat.png", *CAPTION, folder=hostile)
    assert (done.code, said in done.err, "Traceback" in done.err) == (code, True, False), done.err
    assert f"error[{named}]" in done.err if named else not done.err


@pytest.mark.parametrize("name", ["猫.png", 'it\'s "so".png', "new\nline.png", "caf\udce9.png"])
def test_a_strange_name_is_a_name(hostile, name):
    draw(hostile / name, caption=False)
    assert retouch("check", "-e", EDIT, *CAPTION, name, folder=hostile).code == 0


def test_recipes_that_cannot_be_opened_say_so(hostile, monkeypatch):
    for name, said in (("loop", "cannot be read: Too many levels"), ("empty", "is a folder; name a recipe in it")):
        done = retouch("check", name, folder=hostile)
        assert (done.code, said in done.err) == (2, True), done.err
    monkeypatch.setattr("sys.stdin", None)
    done = retouch("check", "-", folder=hostile)
    assert (done.code, done.err) == (
        2,
        "retouch check: standard input is closed; name a recipe, or write one with -e\n",
    )


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no such folder here")
def test_a_pipe_of_the_shell_is_no_picture(hostile):
    reader, writer = os.pipe()
    done = retouch("check", "-e", EDIT, f"/dev/fd/{reader}", folder=hostile)
    os.close(reader)
    os.close(writer)
    assert (done.code, "what has this name is no file; name an image" in done.err) == (1, True), done.err


@pytest.mark.parametrize(
    "line",
    [["run", "-e", EDIT, "cat.png", "-o", "-"], ["rerun", "cat.png", "-o", "-"], ["graph", "-e", EDIT, "--to", "-"]],
)
def test_a_dash_is_no_name_of_a_result(hostile, line):
    """Who means standard output would find a folder of that name."""
    done = retouch(*line, folder=hostile)
    assert (done.code, "takes a file or folder, and '-' is none; one of that name is ./-" in done.err) == (2, True)


def test_words_are_read_where_the_locale_has_no_letters(hostile):
    """The bytes of a UTF-8 terminal come as surrogates under LANG=C."""
    bytes_ = "猫".encode().decode("ascii", "surrogateescape")
    done = retouch(
        "check", "-e", f'invert sdedit "{bytes_}"->"dog"', "cat.png", "--caption", f"a {bytes_}", folder=hostile
    )
    assert (done.code, done.err) == (0, "")


def test_the_same_said_twice_is_said_once(hostile):
    done = retouch("check", "-e", EDIT, "-e", EDIT, *CAPTION, *CAPTION, "cat.png", folder=hostile)
    assert (done.code, done.err) == (0, "")


def test_families_are_found_by_a_part_of_their_name(hostile):
    done = retouch("models", "--family", "flux.2", folder=hostile)
    assert (done.code, {line.split(" ")[0] for line in done.out.splitlines() if line[:1] != " "}) == (0, {"FLUX.2"})
    done = retouch("models", "--family", "nope", folder=hostile)
    assert (done.code, "no model of an installed family has 'nope' in its name; families are" in done.err) == (2, True)


def test_a_folder_that_is_gone_is_told(tmp_path, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    with contextlib.chdir(gone):
        gone.rmdir()
        code = main(["check", "-e", EDIT, "cat.png"])
    assert (code, capsys.readouterr().err) == (2, "retouch check: the folder that you are in is gone; go to another\n")


@pytest.mark.parametrize(("words", "code", "said"), SAID)
def test_a_wrong_argument_is_told_with_what_to_type(folder, words, code, said):
    done = retouch("check", "-e", EDIT, *CAPTION, *words, folder=folder)
    assert (done.code, said in done.err) == (code, True), done.err


def test_the_mend_of_a_leading_dash_is_enough(folder):
    assert retouch("check", "-e", EDIT, *CAPTION, "./-dash.png", folder=folder).code == 0


TOLD = [
    # One finding each: what follows from another, or says the same in other words, is not told.
    ("mask box left=50% right=50% | invert sdedit EDIT | blend latent", {"RT226"}, "as wide as nothing"),
    ("mask box left=60% right=50% | invert sdedit EDIT | blend latent", {"RT226"}, "right of its right one"),
    ("invert sdedit EDIT | mask attention words=[] | blend latent", {"RT226"}, "no word to look for"),
    ('invert sdedit EDIT | guide semantic add=["a hat", ""]', {"RT226"}, "a concept without a word"),
    ("mask box right=50% | crop size=8000 | invert sdedit EDIT | paste", {"RT404"}, "8,000; at most 128"),
    ('invert sdedit EDIT | save "out/"', {"RT425"}, 'write "out/{name}.png"'),
]


@pytest.mark.parametrize(("recipe", "codes", "said"), TOLD)
def test_a_wrong_recipe_is_told_before_it_runs_and_once(folder, recipe, codes, said):
    done = retouch("check", "-e", recipe.replace("EDIT", '"cat"->"dog"'), *CAPTION, "cat.png", folder=folder)
    found = [line[6:11] for line in done.err.splitlines() if line.startswith("error[")]
    assert (found, said in done.err) == ([*codes], True), done.err


def test_the_second_mask_of_a_list_is_told_too(folder):
    """And what is the same for both is told once."""
    for name, size in (("a.png", 10), ("b.png", 20), ("c.png", 64)):
        mask = Image.new("L", (size, size))
        mask.paste(255, (0, 0, size // 2, size))
        mask.save(folder / name)
    text = f'{EDIT} | mask file path=["a.png", "c.png", "b.png"] | blend latent'
    done = retouch("check", "-e", text, *CAPTION, "cat.png", folder=folder)
    assert (done.code, done.err.count("error[RT417]")) == (1, 2)
    assert all(f"'{name}' cannot be the mask: it is" in done.err for name in ("a.png", "b.png"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("rnu", "cat.png"), "retouch: there is no command 'rnu'; did you mean 'run'?\n  = help: see retouch --help\n"),
        (("run", "--workers", "many"), "retouch run: argument --workers: "),
        (("-e", EDIT, "cat.png"), f"retouch: there is no command '{EDIT}'; if that is a recipe, write retouch run -e"),
        (("my.retouch", "cat.png"), "retouch: there is no command 'my.retouch'; write retouch run my.retouch\n"),
        ((), "retouch: the following arguments are required: COMMAND\n  = help: see retouch --help\n"),
    ],
)
def test_a_wrong_line_is_answered_in_a_sentence_and_not_with_all_options(tmp_path, line, said):
    """Where more stands is said; it is forty lines for `run`."""
    done = retouch(*line, folder=tmp_path)
    assert (done.code, done.out, done.err.startswith(said)) == (2, "", True), done.err
    assert len(done.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("p2p", "one of this name comes with retouch: "),
        ("recipes/p2p.retouch", "one of this name comes with retouch: "),
        ("make the cat a dog", "if that is a recipe, write -e before it"),
        ("invert|sample", "if that is a recipe, write -e before it"),
        ("none.retouch", "there is no recipe 'none.retouch'\n"),
    ],
)
def test_a_recipe_that_is_not_here_is_told_with_where_one_is(tmp_path, named, said):
    done = retouch("check", named, "cat.png", folder=tmp_path)
    assert (done.code, said in done.err) == (2, True), done.err
