"""A family of somebody's that breaks its contract is named, by a code, and no method is blamed for it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image

from retouch.api.families import Loaded, Net, Rows
from retouch.cli.main import main
from retouch.models import families
from retouch_models.sdxl import StableDiffusionXL

OURS = families.installed()
RECIPE = 'invert ddim "a cat"->"a dog" steps=2 | attend p2p'


def boom(*_args: Any) -> Any:
    raise RuntimeError("boom")


def faulty(**methods: Any) -> Any:
    return type("Faulty", (StableDiffusionXL,), methods)()


def describing(**lies: Any) -> Any:
    return faulty(describe=lambda self, read: replace(StableDiffusionXL.describe(self, read), **lies))


def answering(wrong: Callable[[torch.Tensor], Any]) -> Any:
    """A family whose network gives something else than it should."""

    class Wrong(Net):
        def forward(self, ask: Any, rows: Rows) -> Any:
            return wrong(rows.x)

    def load(self: Any, known: Any, parts: Any) -> Loaded:
        made = StableDiffusionXL.load(self, known, parts)
        return Loaded(Wrong(made.net.module), made.codec, made.texts)

    return faulty(load=load)


# What is wrong with a family, the code of it, the end of a command, and what is said.
FAULTS = {
    "a number": (5, "RT416", 1, "it has no describe()"),
    "no load": (faulty(load=None), "RT416", 1, "it has no load()"),
    "describe raises": (faulty(describe=boom), "RT416", 1, "describe() raises RuntimeError: boom"),
    "describe gives nothing": (faulty(describe=lambda *_: None), "RT416", 1, "gives a NoneType, not a Described"),
    "channels": (describing(channels="4"), "RT416", 1, "channels is '4', and not a whole number above 0"),
    "scale": (describing(scale=0), "RT416", 1, "scale is 0"),
    "prediction": (describing(prediction="x0"), "RT416", 1, "prediction is 'x0', which is of no kind"),
    "sites": (describing(sites=("up",)), "RT416", 1, "'up' among its sites is no Site"),
    "parts": (describing(parts=("unet", "nose")), "RT416", 1, "has no safetensors in nose/"),
    "schedule raises": (faulty(schedule=boom), "RT416", 4, "schedule() raises RuntimeError: boom"),
    "schedule gives nothing": (faulty(schedule=lambda *_: None), "RT416", 4, "gives a NoneType, not a Schedule"),
    "load raises": (faulty(load=boom), "RT416", 4, "cannot be loaded: RuntimeError boom"),
    "load gives a pair": (faulty(load=lambda *_: (1, 2)), "RT416", 4, "gives a tuple, not a Loaded"),
    "nothing": (answering(lambda x: None), "RT416", 4, "gives NoneType for [1, 4, 8, 8]"),
    "fewer channels": (answering(lambda x: x[:, :2]), "RT416", 4, "gives [1, 2, 8, 8] for [1, 4, 8, 8]"),
    "no number": (answering(lambda x: x / 0), "RT505", 4, "not finite"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_family_is_named(
    fault: str, folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    gc.collect()  # of a run that failed before, whose error holds its machine
    family, code, exits, said = FAULTS[fault]
    module = ModuleType("faulty_family")
    vars(module)["FAMILY"] = family
    monkeypatch.setitem(sys.modules, "faulty_family", module)
    monkeypatch.setattr(families, "installed", lambda: OURS | {"StableDiffusionXLPipeline": "faulty_family:FAMILY"})
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (16, 16), "white").save("cat.png")
    model = str(folder_of("sdxl"))
    assert main(["run", "-e", RECIPE, "cat.png", "--model", model]) == exits
    told = capsys.readouterr().err
    assert f"error[{code}]" in told
    assert said in told
    assert "report it to" not in told
    assert "Traceback" not in told


def test_one_that_cannot_be_imported_is_named(
    folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "torn_family.py").write_text("raise RuntimeError('boom')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(families, "installed", lambda: OURS | {"StableDiffusionXLPipeline": "torn_family:FAMILY"})
    assert main(["check", "-e", RECIPE, "--model", str(folder_of("sdxl"))]) == 1
    told = capsys.readouterr().err
    assert "error[RT416]" in told
    assert "torn_family:FAMILY, cannot be imported: RuntimeError: boom" in told
