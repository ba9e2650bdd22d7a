"""A result is made again by the plugin that made it, whatever was installed since; what that does otherwise is told."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.command import Ran, draw, retouch
from tests.faulty.installing import install

HALF = """
import torch
from retouch.api import Mask, SourceImage, stage

@stage("mask", "half", version={version})
def half(image: SourceImage, *, share: float = {share}) -> Mask:
    \"\"\"Edit the left.

    share: of the width.
    \"\"\"
    height, width = image.size
    return Mask((torch.arange(width) < share * width).float().expand(height, width).contiguous())
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path with the plugin, and beside it a result of it."""
    draw(tmp_path / "cat.png")
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "halver", HALF.format(version=1, share=0.5))
    assert made(tmp_path, "mask half", "m.png").code == 0
    yield tmp_path
    for name in ("f_halver", "f_halver_since"):
        sys.modules.pop(name, None)


def made(site: Path, stage: str, name: str) -> Ran:
    return retouch("run", "-e", f'{stage} | save mask "{name}"', "cat.png", folder=site)


def again(site: Path, name: str) -> Ran:
    return retouch("rerun", name, "--verify", folder=site)


def test_a_default_and_a_version_that_are_others_now_are_told(site: Path) -> None:
    assert (again(site, "m.png").code, again(site, "m.png").out) == (0, "same: every pixel is the same\n")
    (site / "f_halver.py").write_text(HALF.format(version=2, share=0.25))
    del sys.modules["f_halver"]
    ran = again(site, "m.png")
    assert ran.code == 4, ran.err
    assert ran.out.splitlines()[1:] == [
        "  'mask half' was version 1 and is 2",
        "  'mask half' had share=0.5 and has 0.25",
    ]


def test_a_stage_that_does_something_else_now_makes_no_rounding_however_near_its_picture_is(site: Path) -> None:
    text = HALF.replace("torch.arange(width) < share * width).float()", "torch.arange(width) / width * share)")
    (site / "f_halver.py").write_text(text.format(version=1, share=0.5))
    del sys.modules["f_halver"]
    assert made(site, "mask half", "n.png").code == 0
    (site / "f_halver.py").write_text(text.format(version=2, share=0.51))
    del sys.modules["f_halver"]
    ran = again(site, "n.png")
    assert (ran.code, ran.out.partition(":")[0]) == (4, "different"), ran.out
    assert float(ran.out.split()[2]) > 40  # dB


def test_a_name_that_another_plugin_claims_since_or_no_longer_is_that_of_who_made_it(site: Path) -> None:
    install(site, "halver_since", HALF.format(version=1, share=0.1))
    assert "RT903" in made(site, "mask half", "n.png").err
    assert again(site, "m.png").code == 0, again(site, "m.png").err
    assert made(site, "mask f_halver.half", "n.png").code == 0
    shutil.rmtree(site / "f_halver_since-0.1.dist-info")
    assert again(site, "n.png").code == 0, again(site, "n.png").err
