"""From Python several pictures are one run: each has its own caption, and its own failure."""

from __future__ import annotations

import pickle  # noqa: TID251  results go to worker processes
from pathlib import Path

import pytest
import torch
from PIL import Image

import retouch as python
from tests.e2e.command import draw

pytestmark = pytest.mark.usefixtures("small_for_commands")

EDIT = 'invert sdedit "cat"->"dog" steps=2'
TOO_BRIGHT = torch.full((3, 64, 64), 255.0)


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [draw(tmp_path / f"{name}.png", caption=False) for name in ("one", "two")]


def sources_of(recipe: python.Recipe, given: list, caption) -> list[str]:
    """The source prompt of each picture's graph."""
    return [
        next(edge.settings["source"] for node in graph.nodes for _, edge in node.edges() if "source" in settings(edge))
        for graph in recipe.graphs(*given, caption=caption)
    ]


def settings(edge: object) -> dict:
    return getattr(edge, "settings", {})


def test_each_picture_has_its_own_caption(two: list[Path]) -> None:
    edit = python.recipe(EDIT)
    said = ["a white cat", "a black cat"]
    assert sources_of(edit, two, said) == said
    for keys in (["one", "two"], ["one.png", "two.png"], two, [*map(str, two)], [0, 1]):
        assert sources_of(edit, two, dict(zip(keys, said, strict=True))) == said
    assert sources_of(edit, two, "a cat") == ["a cat", "a cat"]
    two[1].with_suffix(".txt").write_text("a red cat")
    assert sources_of(edit, two, {"one": "a white cat"}) == ["a white cat", "a red cat"]
    assert sources_of(edit, [two[0], two[0]], said) == said  # one picture, twice
    assert sources_of(edit, [Image.open(path) for path in two], said) == said
    with pytest.raises(ValueError, match="1 captions for 2 pictures"):
        edit(two, caption=["a cat"])
    with pytest.raises(
        ValueError, match=r"no picture is called 'three', which has a caption; there are: one\.png, two"
    ):
        edit(two, caption={"three": "a cat"})


def test_pictures_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    made = python.recipe(EDIT)([draw(tmp_path / "a" / "cat.png"), draw(tmp_path / "b" / "cat.png")])
    assert [result.ok for result in made] == [True, True]


def test_one_picture_twice_gives_two_results(two: list[Path]) -> None:
    made = python.recipe(EDIT)([two[0], two[0]], caption=["a white cat", "a black cat"])
    assert len(made) == 2
    assert made[0].image.tobytes() != made[1].image.tobytes()


def test_in_a_list_each_picture_says_what_became_of_it(tmp_path: Path, cat: Path) -> None:
    torn = cat.with_name("torn.png")
    torn.write_bytes(cat.read_bytes()[:300])
    latin = draw(cat.with_name("latin.png"))
    latin.with_suffix(".txt").write_bytes(b"a caf\xe9")
    given = [cat, "nowhere.png", torn, TOO_BRIGHT, latin, draw(cat.with_name("good.png"))]
    made = python.recipe(EDIT)(given)
    found = [[each.code for each in result.diagnostics] for result in made]
    assert found == [[], ["RT402"], ["RT504"], ["RT428"], ["RT418"], []]
    assert [bool(result) for result in made] == [True, False, False, False, False, True]
    for result in made:
        if result.ok:
            assert result.error is None
            assert result.image.size == (64, 64)
        else:
            with pytest.raises(python.EditFailed, match=result.diagnostics[0].code):
                _ = result.image
    assert pickle.loads(pickle.dumps(made[1])).diagnostics == made[1].diagnostics


def test_a_list_of_nothing_but_wrong_pictures_says_so_of_each(tmp_path: Path) -> None:
    made = python.recipe(EDIT, tmp_path)(["nowhere.png", TOO_BRIGHT], caption="a cat")
    assert [result.diagnostics[0].code for result in made] == ["RT402", "RT428"]


def test_a_recipe_that_is_wrong_is_one_error_however_many_pictures(two: list[Path]) -> None:
    with pytest.raises(python.RecipeError, match="RT205"):
        python.recipe(f"{EDIT} strenght=1")(two, caption="a cat")
    with pytest.raises(python.RecipeError, match="RT205"):
        python.recipe(f"{EDIT} strenght=1")(["nowhere.png"])
    with pytest.raises(python.RecipeError, match="RT405"):
        python.recipe(f'{EDIT} | save "one_for_all.png"', two[0].parent)(two, caption="a cat")
