"""A broken folder is refused soon, by a coded sentence that names its file and blames no plugin."""

from __future__ import annotations

from pathlib import Path
from time import process_time  # a machine may be busy

import pytest
import torch
from PIL import Image

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.plugins import registry
from retouch.run.session import execute
from retouch.run.settings import Settings
from tests.models.mutations import all_harms

HARMS = all_harms()
# What only the numbers, or all names and shapes together, can tell: refused when the model loads.
AT_LOAD = (
    "not a number", "infinite", "a tensor less", "a tensor more", "transposed", "attention_head_dim", "an unknown",
    "merges are numbers",
)  # fmt: skip


@pytest.fixture(scope="module")
def installed() -> registry.Registry:
    return registry.load()


@pytest.mark.parametrize("what", HARMS)
def test_a_broken_folder_is_refused_soon(folder: Path, tmp_path: Path, installed, what: str) -> None:
    HARMS[what](folder)
    Image.new("RGB", (32, 32)).save(tmp_path / "cat.png")
    text = f'model "{folder}"\nopen "cat.png" | invert ddim steps=1 | sample | save "out.png"'
    begun = process_time()
    checked = check(text, Environment(installed, tmp_path, here=tmp_path, allowed=(tmp_path, folder)))
    took = process_time() - begun
    found = checked.errors
    if not found:
        assert any(late in what for late in AT_LOAD), "a check tells it"
        begun = process_time()
        found = execute(checked.graphs, registry=installed, settings=Settings()).outcomes[0].failures
        took += process_time() - begun
    assert took < 5  # half a second where it takes longest, on a processor that others want as well
    (item,) = found
    assert item.code == "RT416", item.message
    assert str(folder) in item.message
    assert "\n" not in item.message
    assert "report it" not in item.help
    assert not (tmp_path / "out.png").exists()


def test_the_folder_that_is_mutated_is_a_good_one(folder: Path, tmp_path: Path, installed) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "cat.png")
    text = f'model "{folder}"\nopen "cat.png" | invert ddim steps=1 | sample | save "out.png"'
    checked = check(text, Environment(installed, tmp_path, here=tmp_path, allowed=(tmp_path, folder)))
    with torch.no_grad():
        (outcome,) = execute(checked.graphs, registry=installed, settings=Settings()).outcomes
    assert not outcome.failures
    assert (tmp_path / "out.png").exists()
