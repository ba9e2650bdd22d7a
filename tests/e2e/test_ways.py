"""The ways through the house that engine/README.md tells are those that a run takes."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from types import FrameType

import pytest

import retouch
import retouch_methods
from retouch.cli.main import main

ENGINE, METHODS = (Path(package.__file__).parent for package in (retouch, retouch_methods))
README = Path(__file__).parents[2] / "engine" / "README.md"
RECIPE = 'invert ddim steps=2 | mask diffedit "cat"->"dog" maps=1 | blend latent'
FUNCTION = 2  # of a code's flags: it has locals of its own, so it is no module or class


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of the engine and of the methods, in the order in which a run calls into them."""
    from retouch_storybook.world import Scene, render

    folder, found = tmp_path_factory.mktemp("ways"), list[str]()
    render(Scene("cat", "white", "on a beach", seed=1)).save(folder / "cat.png")
    (folder / "cat.txt").write_text("a white cat on a beach")

    def noted(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_flags & FUNCTION and found[-1:] != [frame.f_code.co_filename]:
            found.append(frame.f_code.co_filename)

    line = ["run", "-e", RECIPE, str(folder / "cat.png"), "-o", str(folder / "dog.png"), "--no-store", "--again"]
    assert main(line) == 0  # so that all is imported: what imports call is no way of the house
    before = sys.gettrace()
    threading.settrace(noted)  # results are written beside the work
    sys.settrace(noted)
    try:
        assert main(line) == 0
    finally:
        sys.settrace(before)
        threading.settrace(before)  # pyright: ignore[reportArgumentType]: None, too
    return [Path(name) for name in found]


@pytest.mark.parametrize("way", ["A recipe's text", "An option's value", "A mask"])
def test_a_run_enters_the_files_in_the_order_that_is_told(way: str, entered: list[Path]) -> None:
    (told,) = re.findall(rf"\*\*{way}\*\*: (.*?\.)\n(?=-|\n)", README.read_text("utf-8"), re.S)
    names = re.findall(r"`(\w+(?:/\w+)+)`", told)
    assert len(names) > 4
    left = iter(entered)
    for name in names:
        places = {root / f"{name}.py" for root in (ENGINE, METHODS)}
        assert any(place.is_file() for place in places), f"there is no {name}"
        assert any(path in places for path in left), f"{name} is not entered after those before it"
