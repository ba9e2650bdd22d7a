"""Stages are found, read and refused without importing the plugins they are in."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from textwrap import dedent

import pytest

from retouch.core.declared.touches import Touch
from retouch.plugins import discovery, registry
from retouch.plugins.discovery import Plugin

_NUMBERS = count()
_API = "AttentionControl, Edit, Image, Latents, Mask, Range, Touch, hookimpl, stage, stages_in"
HEAD = f"from typing import Annotated, Literal\nfrom retouch.api import {_API}\n\n"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a plugin of one file or of several, under a name that was never imported."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str | dict[str, str], head: str = HEAD) -> Plugin:
        name = f"written_{next(_NUMBERS)}"
        folder = tmp_path / name
        folder.mkdir()
        for file, body in ({"__init__.py": text} if isinstance(text, str) else text).items():
            (folder / file).write_text(head + dedent(body))
        return Plugin(name, name)

    return write


def only(plugin: Plugin):
    found = registry.load([plugin])
    assert not found.faults
    (card,) = found.cards
    return card


def fault(*plugins: Plugin):
    (found,) = registry.load(plugins).faults
    return found


FULL = '''
STEEP = 0.25

@stage("attend", "p2p", paper="arXiv:2208.01626", version=2, touches=(Touch("self", "replace", "qk", until="self_"),),
       rows="2 * maps", facts={"readers": 1})
def p2p(edit: Edit, masks: tuple[Mask, ...] = (), hint: Image | None = None,
        *, self_: Annotated[float, Range(0, 1)] = STEEP, maps: int = 3, mode: Literal["a", "b"] = "a",
        words: tuple[str, ...] = (), limit: int | None = None) -> AttentionControl:
    """Give the target the layout of the source.

    self_: fraction of the steps
        that share maps.
    maps: how many.
    """
'''


def test_a_card_holds_the_whole_signature(plugin):
    card = only(plugin(FULL))
    assert (card.name, card.version, card.paper, card.output) == (
        "attend p2p",
        2,
        "arXiv:2208.01626",
        "AttentionControl",
    )
    assert [str(port) for port in card.ports] == ["edit: Edit", "masks: Mask*", "hint: Image?"]
    assert card.touches == (Touch("self", "replace", "qk", until="self_"),)
    assert card.operand == "edit"
    assert card.summary == "Give the target the layout of the source."


def test_options_know_type_range_choices_default_and_line(plugin):
    card = only(plugin(FULL))
    shown = {option.name: (option.kind, option.default) for option in card.options}
    kind, default = shown["self"]
    assert (kind.type, kind.low, kind.high, default) == ("float", 0, 1, 0.25)
    assert shown["mode"][0].choices == ("a", "b")
    assert shown["words"][0].many
    assert shown["limit"][0].optional
    assert card.options[0].doc == "fraction of the steps that share maps."


@pytest.mark.parametrize(
    "head",
    [
        "from retouch.api import stage as s, Latents as L\n",
        "import retouch.api as rt\ns = 0\n",
        "import retouch.api\n",
    ],
)
def test_imports_under_other_names_are_seen_through(plugin, head):
    mark = {"from": "s", "import retouch.api as": "rt.stage", "import retouch.api\n": "retouch.api.stage"}
    name = next(value for key, value in mark.items() if head.startswith(key))
    type_ = "L" if name == "s" else name.replace("stage", "Latents")
    card = only(plugin(f"@{name}('a', 'b')\nasync def f(x: {type_}) -> {type_}: ...", head))
    assert (card.ports[0].type, card.output) == ("Latents", "Latents")


def test_quoted_and_named_annotations_are_seen_through(plugin):
    card = only(
        plugin("Share = Annotated[float, Range(0, 1)]\n@stage('a', 'b')\ndef f(x: 'Latents', *, k: Share = 1): ...")
    )
    assert card.ports[0].type == "Latents"
    assert card.options[0].kind.high == 1


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("import math\n@stage('a', 'b')\ndef f(*, k: float = math.pi): ...", "has to be a literal", 6),
        ("for n in 'ab':\n    @stage('a', n)\n    def f(): ...", "at the top of a file", 5),
        ("def g():\n    ...\n\n    stage('a', 'b')(len)", "at the top of a file", 7),
        ("@print(stage('a', 'b'))\ndef f(): ...", "at the top of a file", 4),
        ("from retouch.api import stage as mark\ndef g():\n    @mark('a', 'b')\n    def f(): ...", "at the top", 6),
        ("@stage('a', 'b')\ndef f(*, k: int | list = 3): ...", "not a type of option", 5),
        ("@stage('a', 'b')\ndef f(x): ...", "has no type", 5),
        ("@stage('a', 'b')\ndef f(x: Latents = None): ...", "'T | None = None'", 5),
        ("@stage('a', 'b', colour=3)\ndef f(): ...", "no setting 'colour'", 4),
        ("@stage('a')\ndef f(): ...", "@stage(family, method, …)", 4),
        ("@stage\ndef f(): ...", "and this is @stage alone", 4),
        ("@stage('a', 'b', rows='2 * mpas')\ndef f(*, maps: int = 1): ...", "'mpas', which nothing states", 5),
        ("@stage('a', 'b', rows='open(1)')\ndef f(): ...", "not arithmetic", 5),
    ],
)
def test_what_cannot_be_read_is_a_fault_with_its_line(plugin, text, said, line):
    found = fault(plugin(text))
    assert found.code == "RT904"
    assert said in found.facts["what"]
    assert found.line == line


def test_one_bad_stage_leaves_the_others(plugin):
    written = plugin("import os\n@stage('a', 'x')\ndef f(*, k: float = os.name): ...\n@stage('a', 'y')\ndef g(): ...")
    found = registry.load([written])
    assert [card.method for card in found.cards] == ["y"]
    assert len(found.faults) == 1


def test_a_file_with_a_syntax_error_disables_its_plugin_alone(plugin):
    broken = plugin({"__init__.py": "", "a.py": "@stage('a', 'x')\ndef f(): ...", "b.py": "def g(:"})
    found = registry.load([broken, plugin("@stage('a', 'y')\ndef f(): ...")])
    assert [card.method for card in found.cards] == ["y"]
    assert [(f.code, f.plugin) for f in found.faults] == [("RT902", broken.name)]


def test_a_maker_that_does_not_say_what_it_gives_is_a_fault_and_another_stage_is_not(plugin):
    assert "write '-> Mask' before its ':'" in fault(plugin("@stage('mask', 'b')\ndef f(): ...")).facts["what"]
    assert only(plugin("@stage('mask', 'b')\ndef f() -> None: ...")).output is None
    assert only(plugin("@stage('tell', 'b')\ndef f(): ...")).output is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("@stage('mask', 'b')\ndef f(*, k) -> Mask: ...", "RT904"),
        ("@stage('mask', 'b')\ndef f( -> Mask: ...", "RT902"),
        ("@stage('mask', 'b')\ndef f() -> Mask: ...\n@hookimpl\ndef retouch_stage(): ...", "RT905"),
    ],
)
def test_of_a_stage_that_cannot_be_used_it_is_known_why(plugin, text, code):
    found = registry.load([plugin(text)])
    assert not found.candidates("mask", "b")
    assert found.faulty("mask", "b").code == code
    assert found.faulty("mask", "c") is found.faulty("blend", "b") is None


def test_a_plugin_that_is_not_there_is_a_fault():
    assert fault(Plugin("ghost", "no_such_module_anywhere")).code == "RT902"


def test_another_api_is_refused(plugin):
    assert fault(plugin("@stage('a', 'b', api=2)\ndef f(): ...")).code == "RT901"


def test_two_plugins_with_one_method_are_both_named(plugin):
    text = "@stage('a', 'b')\ndef f(): ..."
    first, second = plugin(text), plugin(text)
    found = registry.load([first, second])
    assert [f.code for f in found.faults] == ["RT903"]
    assert found.find("a", "b") is None
    chosen = found.find("a", f"{second.name}.b")
    assert chosen
    assert chosen.plugin == second.name


def test_two_stages_of_one_plugin_with_one_name_are_told_to_part(plugin):
    twice, once = "@stage('a', 'b')\ndef f(): ...\n@stage('a', 'b')\ndef g(): ...", "@stage('a', 'b')\ndef h(): ..."
    alone = plugin(twice)
    found = registry.load([alone])
    assert [fault.facts["mend"] for fault in found.faults] == ["give one of them another name"]
    assert found.notes(alone.name) == []  # nothing is another plugin's
    ours, theirs, other = replace(plugin(once), distribution="retouch"), plugin(twice), plugin(once)
    beside = registry.load([ours, theirs, other])  # the bare name is ours, and that of the plugin calls neither
    assert [(fault.plugin, fault.facts["mend"]) for fault in beside.faults] == [
        (theirs.name, found.faults[0].facts["mend"])
    ]
    assert beside.notes(theirs.name) == []
    assert "'a b' is another plugin's, too" in beside.notes(other.name)[0]


def test_the_default_is_the_marked_method_or_the_only_one(plugin):
    two = plugin("@stage('a', 'x')\ndef f(): ...\n@stage('a', 'y', default=True)\ndef g(): ...")
    found = registry.load([two, plugin("@stage('b', 'z')\ndef h(): ...")])
    assert [card.method if (card := found.default(name)) else None for name in ("a", "b", "c")] == ["y", "z", None]


def test_a_module_of_one_file_is_a_plugin(plugin, tmp_path):
    (tmp_path / "one_file.py").write_text(HEAD + "@stage('a', 'b')\ndef f(): ...")
    assert only(Plugin("one", "one_file")).module == "one_file"


def test_nothing_is_imported(plugin):
    written = plugin("@stage('a', 'b')\ndef f(): ...")
    registry.load([written])
    assert written.module not in sys.modules


def test_the_function_behind_a_card_is_compared_with_it(plugin):
    written = plugin("@stage('a', 'b')\ndef f(x: Latents, *, k: int = 1): ...\n")
    found = registry.load([written])
    assert found.function(found.cards[0]).retouch_stage.method == "b"


def test_a_card_that_the_import_contradicts_is_refused(plugin):
    written = plugin("@stage('a', 'b')\ndef f(x: Latents, *, k: int = 1): ...\nf.__kwdefaults__['k'] = 2")
    found = registry.load([written])
    with pytest.raises(registry.PluginError, match="the default of 'k' is 2"):
        found.function(found.cards[0])


def test_a_module_that_raises_is_a_plugin_error(plugin):
    written = plugin("@stage('a', 'b')\ndef f(): ...\nraise OSError('no card')")
    found = registry.load([written])
    with pytest.raises(registry.PluginError, match="no card") as caught:
        found.function(found.cards[0])
    assert caught.value.fault.code == "RT902"


def test_a_plugin_that_cannot_be_imported_is_left_out_of_the_manager(plugin):
    good = plugin("@hookimpl\ndef retouch_stages():\n    return stages_in(__name__)\n@stage('a', 'b')\ndef f(): ...")
    pm, faults = discovery.load([plugin("raise OSError('no disk')"), good])
    assert [f.code for f in faults] == ["RT902"]
    ((stage,),) = pm.hook.retouch_stages()
    assert stage.retouch_stage.family == "a"


def test_a_hook_that_does_not_exist_disables_its_plugin(plugin):
    written = plugin("@hookimpl\ndef retouch_stagse(): ...")
    pm, faults = discovery.load([written])
    assert [f.code for f in faults] == ["RT902"]
    assert not pm.get_plugins()
