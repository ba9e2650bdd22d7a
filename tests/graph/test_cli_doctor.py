"""`retouch doctor` says what is wrong and what to type, and exits with 1 only then."""

from __future__ import annotations

import json

from retouch.cli.main import main
from retouch.models import catalog
from retouch.models.errors import BrokenModel
from retouch.plugins import discovery


def told(capsys) -> tuple[bool, dict[str, dict[str, str]]]:
    data = json.loads(capsys.readouterr().out)
    return data["ok"], {finding["what"]: finding for finding in data["findings"]}


def test_a_sound_installation_has_nothing_to_mend(capsys):
    assert main(["doctor", "--json"]) == 0
    ok, found = told(capsys)
    assert ok
    assert {"retouch", "python", "torch", "plugin methods", "model storybook", "device", "this folder"} <= found.keys()


def test_a_broken_model_is_named_with_its_reason(capsys, monkeypatch):
    def torn(name, revision=None):
        raise BrokenModel("it has no weights")

    monkeypatch.setattr(catalog, "find", torn)
    assert main(["doctor", "--json"]) == 1
    ok, found = told(capsys)
    assert not ok
    assert found["model storybook"]["is"] == "it has no weights"
    assert found["model storybook"]["mend"]


def test_a_broken_plugin_is_named_with_its_reason(capsys, monkeypatch, tmp_path):
    (tmp_path / "torn_plugin.py").write_text("from retouch.api import stage\n\ndef half(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    there = discovery.installed()
    monkeypatch.setattr(discovery, "installed", lambda: [*there, discovery.Plugin("torn", "torn_plugin")])
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "! plugin torn: " in out
    assert "1 to mend" in out


def test_a_package_that_is_missing_is_named_with_what_to_type(capsys, monkeypatch):
    monkeypatch.setattr("retouch.cli.commands.doctor.PACKAGES", ("torch", "no-such-package"))
    assert main(["doctor", "--json"]) == 1
    assert told(capsys)[1]["no-such-package"]["mend"] == "pip install no-such-package"
