"""Who may import whom: the architecture, held to by the syntax trees of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import retouch
import retouch_methods

ENGINE, METHODS = Path(retouch.__file__).parent, Path(retouch_methods.__file__).parent
HEAVY = {"torch", "diffusers", "transformers", "numpy", "PIL", "safetensors", "huggingface_hub"}

# The import law: each room of the engine, and the rooms whose modules it may import, now, late or for types alone.
LAW = {
    "version": set(),
    "paths": set(),
    "core": set(),
    "pictures": set(),
    "lang": set(),
    "plugins": {"version", "core"},
    "models": {"core", "plugins"},
    "graph": {"core", "lang", "plugins", "models", "pictures"},
    "check": {"paths", "core", "pictures", "lang", "models", "plugins", "graph"},
    "run": {"version", "core", "pictures", "lang", "models", "plugins", "graph"},
    "testing": {"core", "models", "plugins", "run"},
    "api": {"core", "plugins"},
    "scripting": {"core", "pictures", "lang", "plugins", "graph", "check", "run"},
    "cli": {"version", "paths", "pictures", "lang", "models", "plugins", "graph", "check", "run"},
    "__init__": {"version", "lang", "plugins", "scripting"},
    "__main__": {"cli"},
}

# Which of the heavy packages a room may load when it is imported.
MAY = {
    "core": {"torch"},
    "pictures": set(),
    "lang": set(),
    "plugins": set(),
    "graph": set(),
    "check": set(),
    "cli": set(),
    "run": {"torch", "numpy", "PIL"},
    "scripting": set(),
    "testing": {"torch", "hypothesis"},
}
LIGHT = (
    "core/endings",
    "core/touches",
    "core/errors",
    "models/catalog",
    "models/info",
    "paths",
    "version",
)
PLAIN = {
    "retouch",
    "retouch_methods",
    "torch",
    "__future__",
    "typing",
    "dataclasses",
    "collections",
    "functools",
    "itertools",
    "math",
    "re",
    "safetensors",
}


class Import(NamedTuple):
    """A module that a file imports, and whether that happens when the file itself is imported."""

    module: str
    at_once: bool


def imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        at_once = node in tree.body
        match node:
            case ast.Import(names=names):
                yield from (Import(name.name, at_once) for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (Import(f"{module}.{name.name}", at_once) for name in names)


def loaded(path: Path) -> set[str]:
    """The packages that are loaded when this file is imported."""
    return {name.module.split(".")[0] for name in imports(path) if name.at_once}


def module_of(path: Path) -> str:
    parts = path.relative_to(ENGINE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in ENGINE.rglob("*.py")}


def ours(path: Path, *, late: bool = True) -> set[str]:
    """The modules of the engine that a file imports."""
    found = {name.module for name in imports(path) if late or name.at_once}
    return {name if name in MODULES else name.rpartition(".")[0] for name in found if name.startswith("retouch.")}


def room_of(module: str) -> str:
    """The folder or loose module at the top of the engine in which a module lies."""
    return [*module.split("."), "__init__"][1]


def test_every_room_is_in_the_law_and_the_law_has_no_room_too_many():
    assert {room_of(module) for module in MODULES} == set(LAW)


@pytest.mark.parametrize("room", LAW)
def test_a_room_imports_only_the_rooms_below_it(room):
    for module, path in MODULES.items():
        if room_of(module) == room:
            others = {room_of(name) for name in ours(path)} - {room}
            assert others <= LAW[room], module


def test_the_law_itself_has_no_circle():
    floors: list[str] = []
    while len(floors) < len(LAW):
        ready = [room for room, below in LAW.items() if room not in floors and below <= set(floors)]
        assert ready, f"a circle among {set(LAW) - set(floors)}"
        floors += ready


def test_no_module_imports_itself_in_a_circle():
    """Everything that a module needs when it is imported comes before it."""
    waiting = {module: ours(path, late=False) & set(MODULES) - {module} for module, path in MODULES.items()}
    while ready := {module for module, below in waiting.items() if not below & set(waiting)}:
        waiting = {module: below for module, below in waiting.items() if module not in ready}
    assert not waiting


@pytest.mark.parametrize("room", MAY)
def test_a_room_loads_no_heavier_package_than_it_may(room):
    for path in (ENGINE / room).rglob("*.py"):
        assert loaded(path) & HEAVY <= MAY[room], path


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module):
    assert not loaded(ENGINE / f"{module}.py") & HEAVY


def test_diffusers_and_transformers_live_in_models_alone():
    others = [path for module, path in MODULES.items() if room_of(module) not in ("models", "testing")]
    assert len(others) > 40
    for path in others:
        assert not loaded(path) & {"diffusers", "transformers"}, path


def test_our_methods_use_the_door_that_everybody_uses():
    for path in METHODS.rglob("*.py"):
        from_engine = {name.module for name in imports(path) if name.module.split(".")[0] == "retouch"}
        assert all(f"{name}.".startswith("retouch.api.") for name in from_engine), path
        assert loaded(path) <= PLAIN, path


def test_nothing_pickles():
    for path in [*ENGINE.rglob("*.py"), *METHODS.rglob("*.py")]:
        assert not loaded(path) & {"pickle", "marshal", "shelve", "dill", "joblib"}, path
        assert "torch.load(" not in path.read_text(), path
