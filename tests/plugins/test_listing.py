"""`retouch stages --json` says all that a program needs to know of a stage."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from retouch.cli.main import main

KEYS = {"family", "method", "summary", "paper", "plugin", "version", "stability", "operand", "default"}
KEYS |= {"ports", "output", "options"}
# What is made of something else where it is not given: a file of what could be learnt, a rate of the authors'.
MAY_BE_LEFT_OUT = {("guide", "appearance", "path"), ("tune", "lora", "path"), ("tune", "textual_inversion", "path")}
MAY_BE_LEFT_OUT |= {("decode", "tuned", "lr")}
OPTION_KEYS = {"name", "type", "default", "required", "low", "high", "unit", "choices", "list", "endings", "doc"}


@pytest.fixture(scope="module")
def stages() -> list[dict]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["stages", "--json"]) == 0
    return json.loads(out.getvalue())


def test_every_stage_says_all_there_is_to_say(stages):
    assert len(stages) > 40
    for stage in stages:
        assert set(stage) == KEYS
        assert stage["summary"]
        assert stage["plugin"]
        assert stage["stability"] in ("stable", "experimental")
        for option in stage["options"]:
            assert set(option) == OPTION_KEYS
            may_be_left_out = option["name"] in ("label", "quality", "keep")  # no value means none
            may_be_left_out |= (stage["family"], stage["method"], option["name"]) in MAY_BE_LEFT_OUT
            assert option["required"] == (option["default"] is None and not may_be_left_out)
            assert option["doc"] or option["name"] in ("steps", "guidance", "negative"), (
                stage["method"],
                option["name"],
            )


def test_numbers_say_their_range_and_what_they_count(stages):
    units = {}
    for stage in stages:
        for option in stage["options"]:
            name = (stage["family"], stage["method"], option["name"])
            if option["type"] in ("int", "float") and not option["choices"] and name[2] != "seed":
                assert option["low"] is not None, name
                assert option["high"] is not None, name
                units[name] = option["unit"]
            if option["type"] == "int" and not option["choices"]:
                assert option["unit"], name
    assert units["mask", "dilate", "pixels"] == "pixels"
    assert units["invert", "ddim", "steps"] == "steps"
    assert units["attend", "p2p", "cross_replace"] == "fraction"
    assert units["guide", "cfg", "guidance"] is None  # a scale, of nothing
