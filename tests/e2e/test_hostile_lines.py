"""Lines that a newcomer types, each of which once surprised: what is said, and whether it can be followed."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.e2e.command import draw, retouch

EDIT = 'invert sdedit "cat"->"dog"'
CAPTION = ("--caption", "a cat")


@pytest.fixture
def folder(tmp_path):
    for name in ("cat.png", "line.png", "-dash.png", "photo.jpg"):
        draw(tmp_path / name)
    (tmp_path / "empty.png").write_bytes(b"")
    return tmp_path


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
