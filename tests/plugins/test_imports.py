"""Who may import whom: the architecture, held to by the syntax trees of the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import retouch
import retouch_methods

ENGINE, METHODS = Path(retouch.__file__).parent, Path(retouch_methods.__file__).parent
HEAVY = {"torch", "diffusers", "transformers", "numpy", "PIL", "safetensors", "huggingface_hub"}

# Parts of the engine, and which of the heavy packages they may load at import.
MAY = {
    "lang": set(),
    "cards": set(),
    "graph": set(),
    "commands": set(),
    "pictures": set(),
    "run": {"torch", "numpy"},
    "testing": {"torch", "hypothesis"},
}
PLAIN = {
    "retouch",
    "retouch_methods",
    "torch",
    "__future__",
    "typing",
    "dataclasses",
    "collections",
    "itertools",
    "math",
    "re",
}
LIGHT = ("cli", "cost", "hookspecs", "plugins", "registry", "resources", "touches")


def imports(path: Path) -> set[str]:
    """Modules that a file imports when it is itself imported: neither late ones nor those for type checkers."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {module} | {f"{module}.{name.name}" for name in names}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("part", MAY)
def test_a_part_loads_no_heavier_package_than_it_may(part):
    for path in (ENGINE / part).rglob("*.py"):
        assert tops(path) & HEAVY <= MAY[part], path


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module):
    assert not tops(ENGINE / f"{module}.py") & HEAVY


def test_diffusers_and_transformers_live_in_models_alone():
    others = [path for path in ENGINE.rglob("*.py") if not {"models", "testing"} & set(path.parts)]
    assert len(others) > 40
    for path in others:
        assert not tops(path) & {"diffusers", "transformers"}, path


def test_the_language_knows_nothing_of_the_graph_and_the_graph_nothing_of_the_run():
    for part, forbidden in (("lang", ("retouch.graph", "retouch.run")), ("graph", ("retouch.run", "retouch.values"))):
        for path in (ENGINE / part).rglob("*.py"):
            assert not [name for name in imports(path) if name.startswith(forbidden)], path


def test_our_methods_use_the_door_that_everybody_uses():
    for path in METHODS.rglob("*.py"):
        ours = {name for name in imports(path) if name.split(".")[0] == "retouch"}
        assert all(name == "retouch.api" or name.startswith("retouch.api.") for name in ours), path
        assert tops(path) <= PLAIN, path


def test_nobody_inside_imports_the_api():
    for path in ENGINE.rglob("*.py"):
        assert "retouch.api" not in imports(path), path


def test_nothing_pickles():
    for path in [*ENGINE.rglob("*.py"), *METHODS.rglob("*.py")]:
        assert not tops(path) & {"pickle", "marshal", "shelve", "dill", "joblib"}, path
        assert "torch.load(" not in path.read_text(), path
