"""A card may name a plain constant of another module of its package: read, never imported, told where it cannot be."""

from __future__ import annotations

import sys

import pytest

from retouch.plugins.signatures.reading import read_module

CARD = """
from retouch.api import stage
{imports}

@stage("a", "b", facts={facts})
def f(*, k: float = {default}): ...
"""


def read(tmp_path, imports, facts="FACTS", default="1.0", modules=()):
    """What is made of a package `pack` whose module `pack.stages` names constants of the others."""
    (tmp_path / "pack/sub").mkdir(parents=True, exist_ok=True)
    files = {"__init__": "", "sub/__init__": "", **dict(modules)}
    for name, text in files.items():
        (tmp_path / f"pack/{name}.py").write_text(text)
    path = tmp_path / "pack/stages.py"
    path.write_text(CARD.format(imports=imports, facts=facts, default=default))
    return read_module(path, "pack.stages", "pack")


GONE = 'raise SystemExit("this module was imported")\n'  # what is read is not run


@pytest.mark.parametrize(
    ("imports", "facts", "modules"),
    [
        ("from pack.told import FACTS", "FACTS", {"told": 'FACTS = {"views": "views"}'}),
        ("from pack.told import FACTS as SAID", "SAID", {"told": 'FACTS = {"views": "views"}'}),
        ("from .told import FACTS", "FACTS", {"told": 'FACTS: dict[str, str] = {"views": "views"}'}),
        ("from pack import told", "told.FACTS", {"told": 'FACTS = {"views": "views"}'}),
        ("import pack.told", "pack.told.FACTS", {"told": 'FACTS = {"views": "views"}'}),
        ("from pack.sub import FACTS", "FACTS", {"sub/__init__": 'NAME = "views"\nFACTS = {NAME: NAME}'}),
        (
            "from pack.sub import FACTS",
            "FACTS",
            {"sub/__init__": "from .deep import FACTS", "sub/deep": 'FACTS = {"views": "views"}'},
        ),
        ("from pack.told import NAME", "{NAME: NAME}", {"told": 'NAME = "views"'}),
        ("from pack.told import FACTS", '{**FACTS, "views": "views"}', {"told": 'FACTS = {"views": "other"}'}),
    ],
)
def test_a_constant_of_the_package_is_read_and_not_run(tmp_path, imports, facts, modules):
    modules = {name: GONE + text for name, text in modules.items()}
    (card,), faults = read(tmp_path, imports, facts, modules=modules)
    assert (card.facts, faults) == ({"views": "views"}, ())
    assert not any(name.partition(".")[0] == "pack" for name in sys.modules)


def test_a_default_may_be_one_too(tmp_path):
    (card,), _ = read(tmp_path, "from pack.told import HALF", "{}", "-HALF", {"told": "HALF = 1 / 2"})
    assert card.options[0].default == -0.5


@pytest.mark.parametrize(
    ("imports", "modules", "told"),
    [
        ("from pack.gone import FACTS", {}, "there is no module 'pack.gone'"),
        ("from pack.told import FACTS", {"told": "OTHER = {}"}, "'FACTS' of 'pack.told' is no plain constant"),
        ("from pack.told import FACTS", {"told": "FACTS = dict(a=1)"}, "'dict(a=1)' has to be a literal"),
        ("from pack.told import FACTS", {"told": 'FACTS = {"a": 1}\nFACTS |= {"b": 2}'}, "is no plain constant"),
        ("from pack.told import FACTS", {"told": "FACTS = {"}, "'pack.told' cannot be read"),
        (
            "from pack.told import FACTS",
            {"told": "from pack.more import FACTS", "more": "from pack.told import FACTS"},
            "leads back to itself, by pack.told.FACTS, pack.more.FACTS",
        ),
        ("FACTS = {'a': OTHER}\nOTHER = FACTS", {}, "leads back to itself"),
        ("from json import FACTS", {}, "constants of other packages are not read"),
        ("FACTS = {'a': 1}\nFACTS |= {'b': 2}", {}, "has to be a literal"),
    ],
)
def test_what_is_none_is_told_at_the_line_that_names_it(tmp_path, imports, modules, told):
    cards, (fault,) = read(tmp_path, imports, modules=modules)
    line = (tmp_path / "pack/stages.py").read_text().splitlines().index('@stage("a", "b", facts=FACTS)') + 1
    assert not cards
    assert (fault.code, told in fault.facts["what"]) == ("RT904", True), fault.facts
    assert fault.line == line or "OTHER" in imports


def test_a_constant_that_is_another_now_is_read_anew(tmp_path):
    """The module of the stage is as it was, so that what it says alone would be what is remembered."""
    for value in ("one", "another"):
        (card,), _ = read(tmp_path, "from pack.told import FACTS", modules={"told": f'FACTS = {{"a": "{value}"}}'})
        assert card.facts == {"a": value}
    (tmp_path / "pack/told.py").unlink()
    cards, (fault,) = read_module(tmp_path / "pack/stages.py", "pack.stages", "pack")
    assert not cards
    assert "there is no module" in fault.facts["what"]
