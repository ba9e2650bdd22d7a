"""Files: what a recipe may read and write, and one graph for each picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from retouch.pictures.standing import Standing

EDIT = 'invert ddim "cat"->"dog"'


def paths(checked):
    return [Path(graph.node(id_).options["path"]).name for graph in checked.graphs for id_ in graph.results]


def test_each_picture_of_the_command_line_has_its_graph(checked):
    found = checked(EDIT, "cat.png", "dog.png")
    assert [graph.item.name for graph in found.graphs] == ["cat", "dog"]
    assert paths(found) == ["cat-edited.png", "dog-edited.png"]


def test_flows_that_open_their_own_pictures_are_grouped_by_picture(checked):
    lines = ['open "cat.png" | {0} | save "1.png"', 'open "dog.png" | {0} | save "2.png"']
    recipe = "\n".join([*lines, 'open "cat.png" | {0} steps=9 | save "3.png"'])
    found = checked(recipe.format(EDIT))
    assert [graph.item.name for graph in found.graphs] == ["cat", "dog"]
    assert [len(graph.results) for graph in found.graphs] == [2, 1]


def test_fields_of_a_path_are_filled_in(checked):
    found = checked(f'{EDIT} | save "{{name}}-{{index}}-{{turn}}-{{seed}}.png"', "cat.png", "dog.png")
    assert paths(found) == ["cat-0-1-0.png", "dog-1-1-0.png"]


@pytest.mark.parametrize(
    ("field", "mend"),
    [("ddim.steps", "did you mean 'steps'?"), ("invert.ddim.steps", "did you mean 'steps'?"),
     (" steps ", "did you mean 'steps'?"), ("na-me", "did you mean 'name'?"),
     ("ddim.guidance", "fields: steps, name, index, turn, seed"), ("", "fields: steps, name, index, turn, seed")],
)  # fmt: skip
def test_what_stands_in_brackets_and_is_no_field_is_refused_whatever_it_is(checked, field: str, mend: str) -> None:
    """It was taken for the brackets themselves, and then said to write one file for all."""
    (item,) = checked(f'{EDIT} steps=[2, 3] | save "d{{{field}}}.png"', "cat.png").errors
    assert (item.code, item.help) == ("RT406", mend)
    (mended,) = [checked(f'{EDIT} steps=[2, 3] | save "d{{steps}}-{{{{{field}}}}}.png"', "cat.png")]
    assert not mended.errors
    assert paths(mended) == [f"d{steps}-{{{field}}}.png" for steps in (2, 3)]


def test_a_single_output_is_the_file_of_the_result(checked, folder):
    found = checked(EDIT, "cat.png", output=folder / "mine.png")
    assert paths(found) == ["mine.png"]


def test_an_output_folder_holds_all_results(checked, folder):
    found = checked(f'{EDIT}\n{EDIT} | save "deep/{{name}}-2.png"', "cat.png", "dog.png", output=folder / "out")
    made = [graph.node(id_).options["path"] for graph in found.graphs for id_ in graph.results]
    assert {Path(path).relative_to(folder).as_posix() for path in made} == {
        "out/cat.png", "out/deep/cat-2.png", "out/dog.png", "out/deep/dog-2.png",
    }  # fmt: skip


def test_two_pictures_for_one_output_file_are_refused(checked, folder):
    found = checked(EDIT, "cat.png", "dog.png", output=folder / "mine.png")
    assert [item.code for item in found.errors] == ["RT405"]


def test_results_without_a_name_are_numbered(checked):
    assert paths(checked(f"{EDIT}\n{EDIT} steps=9", "cat.png")) == ["cat-edited.png", "cat-edited-2.png"]


def test_a_file_that_retouch_did_not_make_is_kept(checked):
    recipe = f'{EDIT} | save "a.png"'
    assert [item.code for item in checked(recipe, "cat.png").errors] == ["RT415"]
    assert not checked(recipe, "cat.png", force=True).errors
    assert not checked(recipe, "cat.png", standing=lambda path: Standing("own")).errors
    changed = checked(recipe, "cat.png", standing=lambda path: Standing("edited"))
    assert [item.code for item in changed.errors] == ["RT440"]


def test_the_source_is_never_replaced(checked):
    found = checked(f'{EDIT} | save "cat.png"', "cat.png", force=True)
    assert [item.code for item in found.errors] == ["RT407"]
    found = checked(f'open "cat.png" | {EDIT} | save "cat.png"', force=True)
    assert [item.code for item in found.errors] == ["RT407"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("cta.png", "RT402"),
        ("../x.png", "RT403"),
        ("https://x.org/a.png", "RT413"),
        ("*.pgn", "RT401"),
        ("torn.png", "RT504"),
        ("wide.png", "RT404"),
    ],
)
def test_a_picture_that_cannot_be_opened_is_found_before_anything_loads(checked, path, code):
    (item,) = checked(f'open "{path}" | {EDIT} | save "o.png"').errors
    assert item.code == code


def test_a_link_out_of_the_folder_is_followed_first(checked, folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    Image.new("RGB", (8, 8)).save(other / "real.png")
    (folder / "link.png").symlink_to(other / "real.png")
    recipe = f'open "link.png" | {EDIT} | save "o.png"'
    assert [item.code for item in checked(recipe).errors] == ["RT403"]
    assert not checked(recipe, allowed=(other,)).errors


def test_a_large_picture_may_be_opened_smaller(checked):
    assert not checked(f'open "wide.png" size=64 | {EDIT} | save "o.png"').errors


def test_no_picture_where_one_is_needed(checked):
    (item,) = checked(EDIT, pictures=()).errors
    assert item.code == "RT408"


def test_a_picture_that_the_recipe_does_not_use(checked):
    (item,) = checked(f'open "cat.png" | {EDIT} | save "o.png"', "dog.png").errors
    assert (item.code, Path(item.source or "").name) == ("RT409", "dog.png")


def test_a_mask_from_a_file_needs_no_picture(checked):
    found = checked(
        f'area = mask file "m.png"\nopen "cat.png" | {EDIT} | blend latent mask=area | save "o.png"', pictures=()
    )
    assert not found.errors
