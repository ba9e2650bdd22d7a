"""A result is made again from what it says alone, whatever other flows of its recipe open and lack."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from retouch_storybook.world import Scene
from tests.e2e.command import draw, retouch

pytestmark = pytest.mark.usefixtures("two_rows", "small_for_commands")

E = 'invert ddim "cat"->"dog" steps=1'
OTHER = f"{E} | sample guidance=2"
KEPT, NAMED = (f'{E} | mask file "{name}.png" | blend latent' for name in ("m", "{name}_m"))
DRAW = 'draw (invert sdedit "cat"->"dog" steps=2) seeds=2 | rank denoiser'
WAYS = "def fast() = invert ddim steps=1 | require psnr min=5\ndef slow() = invert edit_friendly steps=1\n"
EITHER = 'first(fast(), slow()) | attend p2p "cat"->"dog"'

MIXTURES = {  # a recipe, the pictures of the command line, the number of results
    "another file": (f'open "a.png" | {E} | save "x.png"\n{E} | save "y.png"', "b.png", 2),
    "one file": (f'open "a.png" | {E} | save "x.png"\n{OTHER} | save "y.png"', "a.png", 2),
    "one file, turned": (f'{OTHER} | save "y.png"\nopen "a.png" | {E} | save "x.png"', "a.png", 2),
    "equal work": (f'{E} | save "y.png"\nopen "a.png" | {E} | save "x.png"', "a.png", 2),
    "a copy": (f'open "q/a.png" | {E} | save "x.png"\n{OTHER} | save "y.png"', "a.png", 2),
    "own pictures": (f'open "a.png" | {E} | save "x.png"\nopen "b.png" | {KEPT} | save "y.png"', "", 2),
    "own words": (f'open "a.png" caption="a white cat" | {E} | save "x.png"\n{E} | save "y.png"', "a.png", 2),
    "own words, turned": (f'{E} | save "y.png"\nopen "a.png" caption="a white cat" | {E} | save "x.png"', "a.png", 2),
    "sweep": (f'let s = [1, 2]\nopen "a.png" | {E} | sample guidance=s\n{E} | sample guidance=s', "b.png", 4),
    "several": (f'open "a.png" | {E} | save "x.png"\n{E}', "b.png a.png", 3),
    "pattern": (f'open "q/*.png" | {E} | save "x-{{name}}.png"\n{E}', "b.png", 3),
    "masks": (f'open "a.png" | {KEPT}\n{E} | mask file "n.png" | blend latent', "b.png", 2),
    "masks by name": (f'open "a.png" | {NAMED}\n{NAMED}', "b.png", 2),
    "mask of both": (f'away = mask box\nopen "a.png" | {KEPT} | mask union other=away | blend pixel', "b.png", 1),
    "table, sheet": (f'open "a.png" | {E}\n{E} | measure "t.csv"\n{E} | sheet "s.png"\n{E}', "b.png", 2),
    "brackets": (f'open "a.png" | {DRAW} | save "x.png"\n{DRAW} | save "y.png"', "b.png", 2),
    "ways": (f'{WAYS}open "a.png" | {EITHER} | save "x.png"\n{EITHER} | save "y.png"', "b.png", 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cats with their captions, copies in a folder below, and masks; not to be changed."""
    home = tmp_path_factory.mktemp("pictures")
    for seed, name in enumerate(("a", "b")):
        draw(home / f"{name}.png", Scene("cat", "orange", "in a meadow", seed=4 + seed))
    shutil.copytree(home, home / "q")
    for place, name in enumerate(("m", "n", "a_m", "b_m")):
        mask = Image.new("L", (64, 64))
        mask.paste(255, (10, 10, 40 + place, 50))
        mask.save(home / f"{name}.png")
    return home


QUICK = ("one file", "masks by name")  # of the others, on request
ALL = [pytest.param(name, marks=() if name in QUICK else pytest.mark.bench) for name in MIXTURES]


@pytest.mark.parametrize("name", ALL)
def test_each_result_of_a_mixture_is_made_again(name: str, pictures: Path, tmp_path: Path) -> None:
    """What the other results lack is theirs: this one has all that it says it was made of."""
    recipe, given, count = MIXTURES[name]
    home = Path(shutil.copytree(pictures, tmp_path / "home"))
    done = retouch("run", "-e", recipe, *given.split(), "--exact", "--no-store", folder=home)
    assert done.code == 0, done.err
    made = [path for path in home.glob("*.png") if not (pictures / path.name).exists() and path.name != "s.png"]
    assert len(made) == count
    for path in made:
        again = retouch("rerun", path, "--verify", folder=home)
        assert (again.code, again.out[:4]) == (0, "same"), (path.name, again.out, again.err)


def test_what_the_result_itself_lacks_is_named(pictures: Path, tmp_path: Path) -> None:
    """Only what others need may be missing."""
    home = Path(shutil.copytree(pictures, tmp_path / "home"))
    recipe = f'open "a.png" | {KEPT} | save "x.png"\n{E} | save "y.png"'
    assert retouch("run", "-e", recipe, "b.png", folder=home).code == 0
    (home / "m.png").unlink()
    again = retouch("rerun", "x.png", folder=home)
    assert (again.code, "'m.png' is not below" in again.err) == (1, True), again.err
    assert retouch("rerun", "y.png", folder=home).code == 0


def test_a_picture_that_the_recipe_opens_too_is_given_with_others(pictures: Path, tmp_path: Path) -> None:
    """A flow without a picture of its own takes it, though another flow opens it and could not."""
    home = Path(shutil.copytree(pictures, tmp_path / "home"))
    checked = retouch("check", "-e", MIXTURES["several"][0], "a.png", "b.png", folder=home)
    assert (checked.code, checked.err) == (0, "")
