"""Who may import whom: the architecture, held to by the syntax trees of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import retouch
import retouch_bench
import retouch_c2pa
import retouch_gan
import retouch_methods
import retouch_models
import retouch_scenes
import retouch_storybook

ENGINE, METHODS = Path(retouch.__file__).parent, Path(retouch_methods.__file__).parent
PLUGINS = [
    Path(package.__file__).parent
    for package in (
        retouch_methods,
        retouch_models,
        retouch_storybook,
        retouch_bench,
        retouch_gan,
        retouch_scenes,
        retouch_c2pa,
    )
]

# What plugins may import of the engine.
PUBLIC = ("retouch.api", "retouch.testing")
HEAVY = {"torch", "diffusers", "transformers", "numpy", "PIL", "safetensors", "huggingface_hub"}

# The import law: each room of the engine, and the rooms whose modules it may import, now, late or for types alone.
LAW = {
    "version": set(),
    "paths": set(),
    "addresses": set(),
    "near": {"paths", "addresses"},
    "core": set(),
    "pictures": set(),
    "lang": set(),
    "plugins": {"version", "paths", "near", "core"},
    "models": {"paths", "addresses", "near", "core", "plugins"},
    "graph": {"near", "core", "lang", "plugins", "models", "pictures"},
    "check": {"paths", "addresses", "near", "core", "pictures", "lang", "models", "plugins", "graph"},
    "run": {"version", "paths", "near", "core", "pictures", "lang", "models", "plugins", "graph"},
    "testing": {"core", "models", "plugins", "run"},
    "api": {
        "core",
        "pictures",
        "lang",
        "plugins",
        "models",
        "graph",
        "check",
        "run",
    },  # `retouch.api` itself less, see below
    "scripting": {"paths", "core", "pictures", "lang", "plugins", "graph", "check", "run"},
    "starters": {"__init__", "api"},
    "cli": {
        "version",
        "paths",
        "addresses",
        "near",
        "pictures",
        "lang",
        "models",
        "plugins",
        "graph",
        "check",
        "run",
        "testing",
    },
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
    "run": {"torch", "numpy", "PIL", "safetensors"},
    "scripting": set(),
    "testing": {"torch", "hypothesis"},
    "starters": {"torch", "PIL"},
}
# Loaded only after torch, to know what that keeps for the whole process.
WITH_TORCH = {"plugins/surroundings/of_retouch.py", "plugins/surroundings/of_torch.py"}
# What declares and what tells files apart is read by light commands; so is the rest of these.
LIGHT = tuple(
    str(path.relative_to(ENGINE).with_suffix(""))
    for room in ("core/declared", "models/files", "models/prompts")
    for path in sorted((ENGINE / room).glob("[!_]*.py"))
)
LIGHT += ("core/errors", "core/grid", "models/catalog", "models/info", "models/family", "models/families")
LIGHT += ("models/kit/agreement", "models/kit/levels", "models/kit/transformers", "models/kit/unet_sites")
LIGHT += ("paths", "version", "api/__init__", "api/families")
PLAIN = {
    "retouch",
    "retouch_methods",
    "torch",
    "__future__",
    "json",
    "typing",
    "dataclasses",
    "collections",
    "functools",
    "itertools",
    "math",
    "re",
    "safetensors",
    "types",
}


class Import(NamedTuple):
    """A module that a file imports, and whether that happens when the file itself is imported."""

    module: str
    at_once: bool


@cache
def imports(path: Path) -> tuple[Import, ...]:
    tree, found = ast.parse(path.read_text()), list[Import]()
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += (Import(name.name, id(node) in at_once) for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                found += (Import(f"{module}.{name.name}", id(node) in at_once) for name in names)
    return tuple(found)


def loaded(path: Path) -> set[str]:
    """The packages that are loaded when this file is imported."""
    return {name.module.split(".")[0] for name in imports(path) if name.at_once}


def module_of(path: Path, root: Path = ENGINE) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in ENGINE.rglob("*.py")}


HOUSE = MODULES | {module_of(path, root): path for root in PLUGINS for path in root.rglob("*.py")}


def ours(path: Path) -> set[str]:
    """The modules of the engine that a file imports, now, late or for types alone."""
    return {name for name in named_by(path) if name.startswith("retouch.")}


def named_by(path: Path) -> set[str]:
    """The modules, ours and others, that a file imports, now, late or for types alone."""
    found = {name.module for name in imports(path)}
    return {name if name in HOUSE else name.rpartition(".")[0] for name in found}


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


def test_no_module_needs_itself_not_late_and_not_for_a_type():
    """Every import counts, the plugins' too, so that each module can be read after those that it names."""
    below = {module: named_by(path) & set(HOUSE) - {module} for module, path in HOUSE.items()}
    assert not circular(below)


def test_folders_of_a_room_do_not_lean_on_each_other():
    """Of two folders side by side one imports the other at most; what both need stands in the room itself."""
    below: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for module, path in MODULES.items():
        if len(module.split(".")) > 3:  # in a folder of a room
            others = {folder_of(name) for name in ours(path) if room_of(name) == room_of(module)}
            below.setdefault(folder_of(module), set()).update(others - {folder_of(module)})
    assert len(below) > 15
    assert not circular({folder: others & set(below) for folder, others in below.items()})


def test_families_of_our_methods_do_not_lean_on_each_other():
    """A guidance that wants a walk up of its own does not take an inversion's, since inversions are guided."""
    families = {path.parent.name for path in METHODS.glob("*/*.py")}
    used = {name: {module.split(".")[1] for module in imported_by(name)} & families for name in families}
    assert used["invert"] >= {"guide"}
    assert not circular({name: others - {name} for name, others in used.items()})


def imported_by(family: str) -> set[str]:
    """The modules of our methods that those of one family import."""
    named = {each.module for path in (METHODS / family).glob("*.py") for each in imports(path)}
    return {name for name in named if name.startswith("retouch_methods.")}


def folder_of(module: str) -> tuple[str, ...]:
    """The room of a module, and the folder in it, if there is one; of a package its own."""
    parts = module.split(".")
    return tuple(parts[1:3] if MODULES[module].name == "__init__.py" else parts[1:-1][:2])


def test_the_engine_names_no_plugin_not_late_and_not_for_a_type():
    for module, path in MODULES.items():
        if room_of(module) != "starters":  # which are plugins, copied
            assert not {name for name in named_by(path) if name.startswith("retouch_")}, module


def test_a_circle_through_an_import_for_types_is_found(tmp_path):
    typed = tmp_path / "typed.py"
    typed.write_text("if TYPE_CHECKING:\n    from retouch.core.values import Role\n")
    below = {"retouch.core.values": {"typed"}, "typed": ours(typed), "free": {"typed"}, "leaf": set()}
    assert circular(below) == {"retouch.core.values", "typed", "free"}


def circular(below: Mapping[Any, set[Any]]) -> set[Any]:
    """The modules of circles, and those that stand on one."""
    waiting = dict(below)
    while ready := {module for module, needed in waiting.items() if not needed & set(waiting)}:
        waiting = {module: needed for module, needed in waiting.items() if module not in ready}
    return set(waiting)


@pytest.mark.parametrize("room", MAY)
def test_a_room_loads_no_heavier_package_than_it_may(room):
    for path in (ENGINE / room).rglob("*.py"):
        if path.relative_to(ENGINE).as_posix() not in WITH_TORCH:
            assert loaded(path) & HEAVY <= MAY[room], path


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module):
    assert not loaded(ENGINE / f"{module}.py") & HEAVY


def test_diffusers_and_transformers_live_in_models_alone():
    others = [path for module, path in MODULES.items() if room_of(module) not in ("models", "testing")]
    assert len(others) > 40
    for path in others:
        assert not loaded(path) & {"diffusers", "transformers"}, path


def test_what_stages_are_made_of_loads_no_more_than_the_domain_and_the_mark():
    assert {room_of(name) for name in ours(MODULES["retouch.api._stages"])} == {"core", "plugins"}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_our_plugins_use_the_door_that_everybody_uses(plugin):
    for path in plugin.rglob("*.py"):
        assert {name for name in from_engine(path) if not within(name, PUBLIC)} == set(), path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import retouch", set()),
        ("from retouch import hookimpl, recipe", set()),
        ("from retouch import api, cli", {"retouch.api", "retouch.cli"}),
        ("import retouch.lang.words as words", {"retouch.lang.words"}),
        ("def late():\n    from retouch.run.session import execute", {"retouch.run.session"}),
    ],
)
def test_names_of_the_package_itself_are_public_and_its_modules_are_not(line, found, tmp_path):
    file = tmp_path / "plugin.py"
    file.write_text(line)
    assert from_engine(file) == found


def from_engine(path: Path) -> set[str]:
    """The modules of the engine that a file imports; what `retouch` itself gives, such as `hookimpl`, is public."""
    return ours(path) - {"retouch"}


def within(module: str, packages: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def test_our_methods_need_nothing_but_torch():
    for path in METHODS.rglob("*.py"):
        assert not [name for name in from_engine(path) if not within(name, ["retouch.api"])], path
        assert loaded(path) <= PLAIN, path


def test_nothing_pickles():
    for path in [*ENGINE.rglob("*.py"), *METHODS.rglob("*.py")]:
        assert not loaded(path) & {"pickle", "marshal", "shelve", "dill", "joblib"}, path
        assert "torch.load(" not in path.read_text(), path


def test_editors_are_told_of_all_that_scripts_ask_for():
    """The one list is read when a name is asked for, the other by whoever completes or checks it."""
    (told,) = [node for node in ast.parse((ENGINE / "__init__.py").read_text()).body if isinstance(node, ast.If)]
    names = {alias.asname for node in told.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == {*vars(retouch)["_PYTHON"], "hookimpl"}
