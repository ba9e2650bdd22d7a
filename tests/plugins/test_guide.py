"""The guide for authors is true: its code runs, its stages keep their laws, its words are the engine's."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from inspect import getmembers, isfunction
from itertools import count
from pathlib import Path
from typing import get_args

import pytest

from retouch import api
from retouch.cli.main import main
from retouch.core import schedule, values
from retouch.core.awaited import resources
from retouch.core.declared import touches
from retouch.lang.words import FAMILIES
from retouch.plugins import registry
from retouch.plugins.discovery import Plugin
from retouch.testing import worlds
from retouch.testing.laws import device_law, stage_laws

GUIDE = (Path(__file__).parents[2] / "plugins" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
CODE = [text for kind, text in BLOCKS if kind == "python"]
_NUMBERS = count()


def test_every_block_is_of_a_kind_that_is_tried():
    assert {kind for kind, _ in BLOCKS} == {"python", "sh"}
    assert len(CODE) >= 6


@pytest.mark.parametrize("text", CODE, ids=[text.split("def ")[1].split("(")[0] for text in CODE])
def test_a_block_is_a_plugin_whose_stages_keep_the_laws(text, tmp_path, monkeypatch):
    """Its cards are read as an installed plugin's are, and what it shows of tests passes."""
    name = f"guided_{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = registry.load([Plugin(name, name)])
    assert not found.faults, [dict(fault.facts) for fault in found.faults]
    assert found.cards
    makers = {card.output: found.function(card) for card in found.cards}
    for card in found.cards:
        own = [port for port in card.ports if port.type in makers and not hasattr(api, port.type)]
        stage_laws(found.function(card), **{port.name: worlds.tiny_world().call(makers[port.type]) for port in own})
    fixtures = {"stage_laws": stage_laws, "device_law": device_law, "worlds": worlds}
    for each, function in getmembers(import_module(name), isfunction):
        if each.startswith("test_"):
            function(
                **{wanted: fixtures[wanted] for wanted in function.__annotations__ or function.__code__.co_varnames[:1]}
            )
    del sys.modules[name]


def test_its_commands_are_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.startswith("retouch ")]
    assert lines
    for line in lines:
        assert main(line.partition("#")[0].split()[1:]) == 0, line
    assert (tmp_path / "retouch-softbox" / "pyproject.toml").exists()


def test_it_names_every_literal_of_a_touch_and_of_a_prediction():
    spelt = [*get_args(touches.Kind), *get_args(touches.Access), *get_args(touches.What), "down", "mid", "up"]
    for word in (*spelt, *get_args(schedule.PredictionKind)):
        assert f'`"{word}"`' in GUIDE, word


def test_it_names_every_family_and_every_port_that_the_engine_fills():
    for family in FAMILIES:
        assert f"`{family}`" in GUIDE, family
    ports = ("Codec", "TextEncoder", "Pictures", "Adapters", "Outbox", "Sheet", "Figures", "Frame")
    assert all(hasattr(resources, port) for port in ports)
    roles = [name for name in vars(values) if name.endswith("Prompt") and name != "Prompt"]
    assert len(roles) == 3
    for port in (*ports, *roles):
        assert f"`{port}`" in GUIDE, port
