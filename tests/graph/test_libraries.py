"""Recipes over several files: what `use` brings, each file once, and what is wrong with it told once."""

from __future__ import annotations

import pytest


@pytest.fixture
def files(folder):
    """Writes libraries by their names."""

    def write(**texts: str) -> None:
        for name, text in texts.items():
            (folder / f"{name}.retouch").write_text(text)

    return write


def codes(found) -> list[str]:
    return [each.code for each in found.diagnostics]


def test_two_libraries_may_use_a_third(checked, files):
    files(
        third="let how = 0.5\ndef part() = invert ddim strength=how\n",
        one='use "third.retouch"\ndef a() = part()\n',
        two='use "third.retouch"\ndef b() = part()\n',
    )
    found = checked('use "one.retouch"\nuse "two.retouch"\nopen "cat.png" | b() | attend p2p "a"->"b" | save "o.png"')
    assert not found.diagnostics
    assert "invert ddim" in {node.card.name for node in found.graphs[0].nodes}


def test_a_library_is_read_once_however_many_use_it(checked, files):
    # Read each time that it is named, the last of thirty would be read a thousand million times
    steps = {f"n{i}": f'use "n{i + 1}.retouch" as a\nuse "n{i + 1}.retouch" as b\ndef f() = a.f()\n' for i in range(30)}
    files(**steps, n30="def f() = invert ddim stepz=1\n")
    found = checked('use "n0.retouch"\nopen "cat.png" | f() | save "o.png"')
    assert codes(found) == ["RT205"]


def test_libraries_nest_as_deep_as_brackets(checked, files):
    files(**{f"n{i}": f'use "n{i + 1}.retouch"\n' for i in range(70)}, n70="def f() = invert ddim\n")
    found = checked('use "n0.retouch"\nopen "cat.png" | f() | save "o.png"')
    assert codes(found) == ["RT404"]
    assert "libraries that use one another: 65; at most 64" in found.errors[0].message
    assert not checked('use "n20.retouch"\nopen "cat.png" | f() | attend p2p "a"->"b" | save "o.png"').diagnostics


@pytest.mark.parametrize(("library", "told"), [("def f( = invert ddim\n", "RT112"), ('use "none.retouch"\n', "RT217")])
@pytest.mark.parametrize("name", ["", " as s"])
def test_what_an_unreadable_library_may_bring_is_not_asked_for(checked, files, library, told, name):
    files(lib=library)
    called = "s.f" if name else "f"
    found = checked(f'use "lib.retouch"{name}\nopen "cat.png" | {called}() | save "o.png"')
    assert codes(found) == [told]


def test_a_def_that_nobody_has_is_asked_for_beside_an_unreadable_library_of_a_name(checked, files):
    files(lib="def f( = invert ddim\n")
    assert "RT215" in codes(checked('use "lib.retouch" as s\nopen "cat.png" | g() | save "o.png"'))


def test_a_def_of_a_library_sees_no_flow_of_it(checked, files):
    files(lib='photo = open "cat.png"\ndef f() = photo | invert ddim\n')
    assert codes(checked('use "lib.retouch"\nf() | attend p2p "a"->"b" | save "o.png"')) == ["RT220"]


@pytest.mark.parametrize(
    ("line", "name"), [("defaults steps=5", "defaults"), ("seed 3", "defaults"), ('model "m"', "model")]
)
def test_what_a_library_sets_for_itself_is_told(checked, files, line, name):
    files(lib=f"{line}\ndef f() = invert ddim\n")
    (told,) = checked('use "lib.retouch"\nopen "cat.png" | f() | attend p2p "a"->"b" | save "o.png"').diagnostics
    assert told.code == "RT562"
    assert told.message.startswith(f"'{name}' of 'lib.retouch'")


def test_defs_that_a_library_does_not_call_itself_are_no_mistake(checked, files):
    text = "let how = 1\ndef f(a) = invert ddim strength=a\n"
    assert codes(checked(text)) == ["RT212"]  # of the value alone, which no other file sees
    (error,) = checked(text, "cat.png").errors
    assert error.code == "RT411"
    assert "f(a), here or in a recipe that uses this file" in error.help


@pytest.mark.parametrize("text", ['use "photos"\nopen "cat.png" | invert ddim', 'open "photos" | invert ddim'])
def test_a_folder_where_a_file_is_wanted_is_called_one(checked, text):
    error = checked(f'{text} | attend p2p "a"->"b" | save "o.png"').errors[0]
    assert "photos is a folder: name a file in it" in error.help


def test_a_setting_of_what_a_library_keeps_to_itself_names_the_library(checked, files):
    files(
        deep="let much = 0.5\ndef part() = invert ddim strength=much\n",
        lib='use "deep.retouch"\nlet how = 0.5\ndef f() = part() | attend p2p "a"->"b" self=how\n',
    )
    text = 'use "lib.retouch" as s\nopen "cat.png" | s.f() | save "o.png"'
    for name, path in (("how", "lib.retouch"), ("much", "deep.retouch")):
        (error,) = checked(text, settings={name: "0.3"}).errors
        assert (error.code, f"\"{path}\" sets '{name}' for itself" in error.help) == ("RT222", True)
    (error,) = checked(text, settings={"hwo": "0.3"}).errors
    assert "for itself" not in error.help
