"""One word, one thing: what a name stands for is told by the name alone."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import retouch
import retouch_bench
import retouch_c2pa
import retouch_gan
import retouch_methods
import retouch_models
import retouch_scenes
import retouch_storybook

ROOTS = [
    Path(package.__file__).parent
    for package in (
        retouch,
        retouch_bench,
        retouch_c2pa,
        retouch_gan,
        retouch_methods,
        retouch_models,
        retouch_scenes,
        retouch_storybook,
    )
]

# Still there twice, until what is outside of the engine has names of its own.
LEFT = {"Batch"}


def test_a_public_class_name_is_defined_once():
    places: dict[str, list[str]] = defaultdict(list)
    for root in ROOTS:
        for path in root.rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path}:{node.lineno}")
    assert len(places) > 200
    assert {name: where for name, where in places.items() if len(where) > 1 and name not in LEFT} == {}
    assert all(len(places[name]) > 1 for name in LEFT), "one that is no longer there twice leaves the list"
