"""What is installed is whole: every card is readable and says what its function says."""

from __future__ import annotations

import shutil

import pytest

from retouch.plugins import discovery, registry
from retouch.plugins.signatures.agreement import differences

REGISTRY = registry.load()


def test_every_installed_stage_can_be_read():
    assert not REGISTRY.faults
    assert REGISTRY.cards


@pytest.mark.parametrize("card", REGISTRY.cards, ids=lambda card: card.name)
def test_card_and_function_agree(card):
    function = REGISTRY.function(card)
    assert not differences(card, function)
    mark = function.retouch_stage
    assert (mark.family, mark.method, mark.version, mark.rows) == (card.family, card.method, card.version, card.rows)
    assert (mark.touches, dict(mark.facts)) == (card.touches, dict(card.facts))


def test_cards_are_what_the_hooks_register():
    pm, faults = discovery.load(discovery.installed())
    assert not faults
    registered = {(f.retouch_stage.family, f.retouch_stage.method) for group in pm.hook.retouch_stages() for f in group}
    assert registered == {(card.family, card.method) for card in REGISTRY.cards}


def test_a_plugin_that_is_installed_meanwhile_is_found_and_one_that_is_removed_is_not(tmp_path, monkeypatch):
    """What was found is kept only while no folder of sys.path changes: a notebook installs a plugin and goes on."""
    monkeypatch.syspath_prepend(str(tmp_path))
    info = tmp_path / "late-1.0.dist-info"

    def found():
        return [plugin.version for plugin in discovery.installed() if plugin.name == "late"]

    assert found() == []
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[retouch.plugins]\nlate = late\n")
    assert found() == ["1.0"]
    info.rename(tmp_path / "late-2.0.dist-info")
    (tmp_path / "late-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 2.0\n")
    assert found() == ["2.0"]
    shutil.rmtree(tmp_path / "late-2.0.dist-info")
    assert found() == []
    assert discovery.installed()


def test_a_module_that_another_one_meanwhile_comes_before_is_read_from_there(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (second, first):
        folder.mkdir()
        monkeypatch.syspath_prepend(str(folder))
    plugin = discovery.Plugin("moved", "retouch_moved")
    with pytest.raises(ModuleNotFoundError):
        plugin.source()
    (second / "retouch_moved.py").touch()
    assert plugin.source() == second / "retouch_moved.py"
    (package := first / "retouch_moved" / "part").mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    assert plugin.source() == package.parent / "__init__.py"
    (package / "late.py").touch()
    (package / "__init__.py").touch()
    assert [name for _, name in plugin.files()] == ["retouch_moved", "retouch_moved.part", "retouch_moved.part.late"]
    shutil.rmtree(first / "retouch_moved")
    assert plugin.source() == second / "retouch_moved.py"
