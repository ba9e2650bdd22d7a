"""Lists, patterns of files, defs, libraries, alternatives and several models: what a short recipe comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


def saved(graphs):
    """The names of all files that the graphs write, in their order."""
    return [Path(n.options["path"]).name for graph in graphs for n in graph.nodes if n.card.family == "save"]


def stages(graphs, name):
    return [node for graph in graphs for node in graph.nodes if node.card.name == name]


def test_lists_multiply_and_what_does_not_depend_on_them_is_done_once(checked):
    found = checked(
        'open "cat.png" | invert null_text "a"->["b", "c"] | sample guidance=[1, 2, 3] | save "{edit}-{guidance}.png"'
    )
    assert saved(found.graphs) == [f"{e}-{g}.png" for e in ("b", "c") for g in (1, 2, 3)]
    assert len(found.graphs) == 1
    assert len(stages(found.graphs, "open image")) == len(stages(found.graphs, "encode vae")) == 1
    assert len(stages(found.graphs, "invert null_text")) == 3  # it is tuned under the guidance, not under the edit


def test_methods_are_an_axis_named_by_their_family(checked):
    found = checked('open "cat.png" | invert [ddim, null_text] "a"->"b" | save "{invert}.png"')
    assert saved(found.graphs) == ["ddim.png", "null_text.png"]


def test_a_list_is_one_axis_however_often_it_is_used(checked):
    found = checked(
        'let s = [0.2, 0.4]\nopen "cat.png" | invert ddim strength=s | mask diffedit "a"->"b" strength=s '
        '| blend latent | save "{s}.png"'
    )
    assert saved(found.graphs) == ["0.2.png", "0.4.png"]
    assert [n.options["strength"] for n in stages(found.graphs, "mask diffedit")] == [0.2, 0.4]


def test_rows_go_together(checked):
    found = checked(
        "let (file, caption, change) = [\n"
        '  ("cat.png", "a white cat", "white cat"->"black dog"),\n'
        '  ("dog.png", "a brown dog", ("dog"->"cat" "brown"->"grey")),\n'
        "]\n"
        'open path=file caption=caption | invert ddim | attend p2p edit=change | save "new/{name}.png"'
    )
    assert [graph.item.path.name for graph in found.graphs] == ["cat.png", "dog.png"]
    assert saved(found.graphs) == ["cat.png", "dog.png"]
    targets = [node.inputs["edit"].settings["target"] for node in stages(found.graphs, "attend p2p")]
    assert targets == ["a black dog", "a grey cat"]


def test_patterns_of_files_sort_as_people_count(checked):
    found = checked('open "photos/b*.png" | invert ddim "a"->"b" | save "out/{name}.png"')
    assert [graph.item.name for graph in found.graphs] == ["b", "b9", "b10"]


def test_an_axis_that_no_field_names_is_named_by_the_error(checked):
    (error,) = checked('open "photos/*.png" | invert ddim "a"->"b" | sample guidance=[1, 2] | save "out/x.png"').errors
    assert (error.code, error.help) == ("RT405", 'write "out/x-{name}-{guidance}.png"')
    (error,) = checked('open "c.png" | invert ddim ["a"->"b", "a"->"d"] | sample guidance=[1, 2] | save "x.png"').errors
    assert error.help == 'write "x-{edit}-{guidance}.png"'


def test_results_without_a_path_get_names_that_tell_them_apart(checked, folder):
    found = checked('invert ddim "a"->"b" | sample guidance=[1, 2.5]', "cat.png", "dog.png", output=folder / "all")
    assert saved(found.graphs) == ["cat-1.png", "cat-2.5.png", "dog-1.png", "dog-2.5.png"]


def test_defaults_and_the_command_line_take_lists(checked):
    found = checked('defaults seed=[1, 2]\nopen "cat.png" | mask diffedit "a"->"b" | save mask "{seed}.png"')
    assert saved(found.graphs) == ["1.png", "2.png"]
    found = checked('open "cat.png" | mask diffedit "a"->"b" | save mask "{seed}.png"', settings={"seed": "[3, 4]"})
    assert saved(found.graphs) == ["3.png", "4.png"]


def test_a_name_may_stand_in_defaults(checked):
    found = checked('let n = 7\ndefaults steps=n\nopen "cat.png" | invert ddim "a"->"b" | save "o.png"')
    assert {n.inputs["schedule"].settings["steps"] for n in stages(found.graphs, "invert ddim")} == {7}


def test_a_list_of_flows_is_an_axis(checked):
    found = checked(
        'a = open "cat.png" | invert ddim "a"->"b"\nb = open "cat.png" | invert null_text "a"->"b"\n'
        '[a, b] | save "new/{flow}.png"'
    )
    assert saved(found.graphs) == ["a.png", "b.png"]


def test_a_list_of_flows_for_a_port_is_an_axis(checked):
    found = checked(
        'p = open "cat.png"\nm = p | mask file "m.png"\nd = p | mask diffedit "a"->"b"\n'
        'p | invert ddim "a"->"b" | blend latent mask=[m, d] | save "new/{mask}.png"'
    )
    assert saved(found.graphs) == ["m.png", "d.png"]
    assert len(stages(found.graphs, "invert ddim")) == 1


def test_a_def_is_its_text_with_its_parameters_filled_in(checked):
    with_def = checked(
        "def swap(change, how=0.8) = invert ddim | attend p2p edit=change self=how\n"
        'open "cat.png" | swap("a"->"b", how=0.5) | save "o.png"'
    )
    without = checked('open "cat.png" | invert ddim | attend p2p edit="a"->"b" self=0.5 | save "o.png"')
    assert [n.card.name for n in with_def.graphs[0].nodes] == [n.card.name for n in without.graphs[0].nodes]
    assert [n.options for n in with_def.graphs[0].nodes] == [n.options for n in without.graphs[0].nodes]


def test_a_list_is_an_argument_like_any_other(checked):
    found = checked(
        'def swap(a, b) = invert ddim | attend p2p a->b\nlet pets = ["dog", "fox"]\n'
        'open "cat.png" | swap("cat", pets) | save "new/{pets}.png"'
    )
    assert saved(found.graphs) == ["dog.png", "fox.png"]


def test_a_flow_is_passed_to_a_def(checked):
    found = checked(
        'p = open "cat.png"\narea = p | mask file "m.png"\ndef inside(where) = blend latent mask=where\n'
        'p | invert ddim "a"->"b" | inside(area) | save "o.png"'
    )
    assert not found.diagnostics
    assert stages(found.graphs, "mask file")


def test_a_library_brings_its_defs_and_they_see_their_own_values(checked):
    for text in ('use "swaps.retouch"\nX swap("a", "b")', 'use "swaps.retouch" as s\nX s.swap("a", "b")'):
        found = checked(text.replace("X", 'open "cat.png" |') + ' | save "o.png"')
        assert not found.diagnostics
        (inverted,) = stages(found.graphs, "invert ddim")
        assert inverted.options["strength"] == 0.5


def test_a_mistake_in_a_library_is_shown_in_the_library(checked, folder):
    (folder / "bad.retouch").write_text("# a library\ndef f() = invert ddim strenght=1\n")
    (error,) = checked('use "bad.retouch"\nopen "cat.png" | f() | save "o.png"').errors
    assert error.code == "RT205"
    assert error.render("").splitlines()[1].strip() == "--> bad.retouch:2:23"


def test_alternatives_make_one_trajectory_and_cost_from_the_first_to_all(checked):
    from retouch.graph.plan import plan

    (graph,) = checked(
        "def a() = invert ddim\ndef b() = invert null_text\n"
        'open "cat.png" caption="a cat" | first(a(), b()) | attend p2p "cat"->"dog" | save "o.png"'
    ).graphs
    planned = plan(graph)
    rows = {node.card.name: planned.rows[node.id] for node in graph.nodes}
    assert rows["invert ddim"][0] == rows["invert ddim"][1] > 0
    assert rows["invert null_text"][0] == 0 < rows["invert null_text"][1]


def test_a_model_in_a_flow_holds_from_there_on(checked):
    turns = 'invert ddim "a"->"b" | sample | decode | model "other" | invert ddim "b"->"d"'
    (graph,) = checked(f'open "cat.png" | {turns}').graphs
    models = [node.inputs["prompt"].settings["model"] for node in graph.nodes if node.card.name == "invert ddim"]
    assert models == ["storybook", "other"]
    assert set(graph.models) == {"storybook", "other"}


def test_results_of_one_sheet_share_its_file(checked):
    found = checked('open "photos/*.png" | invert ddim "a"->"b" | sample guidance=[1, 2] | sheet "all.png"')
    assert not found.diagnostics
    places = [node.inputs["sheet"].settings["axes"] for node in stages(found.graphs, "sheet contact")]
    assert places[:3] == [
        (("picture", "a"), ("guidance", "1")),
        (("picture", "a"), ("guidance", "2")),
        (("picture", "b"), ("guidance", "1")),
    ]


def test_too_many_variants_are_refused_with_their_number(checked):
    many = ", ".join(map(str, range(1, 41)))
    (error,) = checked(
        f'open "cat.png" | invert ddim "a"->"b" steps=[{many}] | sample guidance=[{many}] '
        '| save "{steps}{guidance}.png"'
    ).errors
    assert error.code == "RT404"
    assert "1,600" in error.message


def test_defs_that_double_end_in_an_error_and_not_in_memory(checked):
    lines = ['def d0() = mask file "m.png"'] + [f"def d{i}() = d{i - 1}() | d{i - 1}()" for i in range(1, 30)]
    found = checked("\n".join([*lines, 'open "cat.png" | d29() | save mask "o.png"']))
    assert "RT404" in {error.code for error in found.errors}


def test_names_that_fork_are_wired_in_time_that_grows_slowly(checked):
    lines = ['m0 = open "cat.png" | mask file "m.png"']
    lines += [f"m{i} = m{i - 1} | mask union other=m{i - 1}" for i in range(1, 24)]
    found = checked("\n".join([*lines, 'm23 | save mask "o.png"']))
    assert found.graphs


def test_a_mistake_in_one_item_of_a_list_is_shown_at_that_item(checked):
    text = (
        'open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | sample guidance=[1, "two"] | save "{guidance}.png"'
    )
    (error,) = checked(text).errors
    assert error.code == "RT207"


@pytest.mark.parametrize("unused", ["def f(x) = invert ddim strenght=x", 'm = open "cat.png" | invert ddim strenght=1'])
def test_what_nothing_uses_is_read_all_the_same(checked, unused):
    found = checked(f'{unused}\nopen "cat.png" | invert ddim "a"->"b" | save "o.png"')
    assert [error.code for error in found.errors] == ["RT205"]


def test_the_source_of_a_stage_after_sample_is_what_that_turn_began_with(checked):
    ends = 'invert ddim "a"->"b" | sample'
    (graph,) = checked(f'open "cat.png" | {ends} | compare').graphs
    (compared,) = stages([graph], "compare source")
    assert (compared.inputs["image"].id, compared.inputs["source"].id) == ("decode.vae#1", "open.image#1")
    (graph,) = checked(f'open "cat.png" | {ends} | invert ddim "b"->"c" | sample | compare').graphs
    (compared,) = stages([graph], "compare source")
    assert {compared.inputs["image"].id, compared.inputs["source"].id} == {"decode.vae#1", "decode.vae#2"}


@pytest.mark.parametrize("pictures", [("cat.png",), ("cat.png", "dog.png")])
def test_what_is_wrong_with_each_item_of_a_list_is_told_of_each(checked, folder, pictures):
    """Three files that are no masks stand at one place; what is wrong twice alike is told once."""
    for level, name in enumerate(("small.png", "large.png"), 4):
        Image.new("L", (64, 64), level).save(folder / name)
    found = checked(
        'let at = [4, 5]\nlet area = ["small.png", "m.png", "large.png", "labels.png"]\n'
        'invert ddim "a"->"b" steps=at | mask file path=area | blend latent | save "o/{name}-{area}-{at}.png"',
        *pictures,
    )
    told = [(error.code, error.message) for error in found.errors]
    assert len(told) == len(set(told)) == 3
    assert all(any(name in message for _, message in told) for name in ("small.png", "large.png", "labels.png"))
    assert len({error.span for error in found.errors}) == 1


def test_each_window_of_a_list_that_holds_no_step_is_told(checked):
    found = checked(
        'let s = [0.5, 0.01, 0.02]\nopen "cat.png" | invert ddim "a"->"b" steps=10 strength=s | save "{s}.png"'
    )
    assert [error.label for error in found.errors if error.code == "RT312"] == [
        "0.01 of 10 steps is less than one",
        "0.02 of 10 steps is less than one",
    ]
