"""A distribution of somebody else's adds an inversion, and everything else composes with it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from retouch import api
from retouch.testing import laws
from tests.e2e.command import draw, in_process, in_warm_process, retouch

STRANGER = Path(__file__).parents[1] / "stranger"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The stranger's distribution, installed by pip into a folder of its own."""
    target = tmp_path_factory.mktemp("stranger")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", target, STRANGER], check=True, capture_output=True)
    return {"PYTHONPATH": str(target)}


def test_it_is_short_and_imports_nothing_but_the_api_and_torch():
    text = (STRANGER / "retouch_stranger.py").read_text()
    assert len(text.splitlines()) < 40
    modules = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules |= {
                f"{node.module}.{name.name}" if node.module == "retouch" else node.module for name in node.names
            }
    assert modules == {"torch", "retouch.api"}


def test_it_is_listed_with_its_plugin(installed, tmp_path):
    ran = in_process("stages", "invert", "independent", "--json", folder=tmp_path, env=installed)
    assert ran.code == 0, ran.err
    assert "stranger" in json.dumps(json.loads(ran.out))


def test_it_edits_with_a_control_and_two_blends_of_ours(installed, tmp_path):
    draw(tmp_path / "cat.png")
    recipe = 'invert independent steps=3 | attend p2p "cat"->"dog" | mask diffedit | blend latent | blend pixel'
    ran = in_warm_process("run", "-e", recipe, "cat.png", "-o", "dog.png", "--json", folder=tmp_path, env=installed)
    assert ran.code == 0, ran.out + ran.err
    assert Image.open(tmp_path / "dog.png").size == (64, 64)
    assert ran.event("done")["rows"] == 2 * 3 + 20 + 4 * 3


def test_without_it_the_method_is_unknown(cat):
    ran = retouch("run", "-e", 'invert independent "cat"->"dog"', "cat.png", folder=cat.parent)
    assert ran.code == 1
    assert "RT202" in ran.err + ran.out


def test_it_keeps_the_shipped_laws(monkeypatch):
    monkeypatch.syspath_prepend(str(STRANGER))
    from retouch_stranger import independent

    assert independent.retouch_stage.method == "independent"
    assert api.VERSION == 1
    laws.source_law(independent)
    laws.replay_law(independent, tolerance=2e-3)
