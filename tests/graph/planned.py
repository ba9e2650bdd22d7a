"""What a plan says of memory and time, and the pace that it is told."""

from __future__ import annotations

import json

import pytest

from retouch.cli.main import main
from retouch.models.catalog import find
from retouch.models.rates import Rate


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["plan", "--json", "-e", 'invert ddim "cat"->"dog"', *words]) == 0
    return json.loads(capsys.readouterr().out)["estimates"][0]


def rate(per_second: float = 10.0, when: float = 1.0, **other) -> Rate:
    """A pace of the embedded model, on two threads of a CPU.  per_second: rows; when: in seconds."""
    given = {"model": find("storybook").digest, "device": "cpu", "dtype": "float32", "height": 16, "width": 16}
    return Rate(**(given | {"threads": 2} | other), rows_per_second=per_second, when=when)
