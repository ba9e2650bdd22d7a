"""What is installed and shipped is bounded, locked and listed."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = PROJECT["optional-dependencies"]
USED = [*PROJECT["dependencies"], *(each for name in ("highlight", "upscale", "ray") for each in OPTIONAL[name])]


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "plugins" / "tools"))
    for name in ("lock", "sbom"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("text", USED)
def test_a_dependency_has_a_lower_and_an_upper_bound(text):
    signs = {each.operator for each in Requirement(text).specifier}
    assert signs & {">=", "=="}, text
    assert signs & {"<", "<=", "=="}, text


def test_the_lock_file_has_all_that_an_edit_needs_at_the_versions_of_the_tests():
    from lock import needed

    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.+-]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    locked = dict(line.split(" ")[0].split("==") for line in lines)
    assert set(needed()) <= set(locked)
    tested = dict(
        line.split("==") for line in (ROOT / ".constraints.txt").read_text().splitlines() if not line.startswith("#")
    )
    apart = {
        name
        for name, version in locked.items()
        if version.partition("+")[0] != tested.get(name, version.partition("+")[0])
    }
    assert not apart


def test_the_bill_of_materials_names_a_licence_for_all():
    from lock import needed
    from sbom import bill

    found = {each["name"]: each for each in bill()["components"]}
    assert set(needed()) <= found.keys()
    for name, each in found.items():
        (licence,) = each["licenses"]
        assert licence["license"].get("id") or licence["license"]["name"] != "not told", name
    assert found["torch"]["version"] == distribution("torch").version
    assert "models and eyes of the drawn world" in found
