"""A family of somebody's that breaks its contract is named, by a code, and no method is blamed for it."""

from __future__ import annotations

import gc
import os
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


def loading(change: Callable[[Loaded], Any]) -> Any:
    """A family that loads something else than it should."""
    return faulty(load=lambda self, known, parts: change(StableDiffusionXL.load(self, known, parts)))


def answering(wrong: Callable[[torch.Tensor], Any]) -> Any:
    """A family whose network gives something else than it should."""

    class Wrong(Net):
        def forward(self, ask: Any, rows: Rows) -> Any:
            return wrong(rows.x)

    return loading(lambda made: made_of(Wrong(made.net.module), made.codec, made.texts))


def doing(act: Callable[[Net, Rows], Any]) -> Any:
    """A family whose network is asked rightly, after something else was done."""

    class Doing(Net):
        def __init__(self, inner: Net) -> None:
            super().__init__(inner.module)
            self.inner = inner

        def forward(self, ask: Any, rows: Rows) -> Any:
            act(self, rows)
            return self.inner.forward(ask, rows)

    return loading(lambda made: made_of(Doing(made.net), made.codec, made.texts))


def made_of(net: Any, codec: Any, texts: Any) -> Loaded:
    return Loaded(net, codec, texts)


class Changed:
    """A part of a model in which some calls are others."""

    def __init__(self, inner: Any, **calls: Any) -> None:
        self.inner, self.calls = inner, calls

    def __getattr__(self, name: str) -> Any:
        return self.calls.get(name) or getattr(self.inner, name)


def coding(**calls: Any) -> Any:
    return loading(lambda made: made_of(made.net, Changed(made.codec, **calls), made.texts))


def reading(prompt: Any) -> Any:
    return loading(lambda made: made_of(made.net, made.codec, Changed(made.texts, prompt=prompt)))


def leaves(*_args: Any) -> Any:
    raise SystemExit(3)


async def of_words(made: Any) -> Any:
    return made


def spoil_weights(net: Net, rows: Rows) -> None:
    next(net.module.parameters()).data.zero_()
    with torch.no_grad():
        next(net.module.parameters()).add_(1)


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
    "schedule raises": (faulty(schedule=boom), "RT576", 4, "schedule() raises RuntimeError: boom"),
    "schedule gives nothing": (faulty(schedule=lambda *_: None), "RT416", 4, "gives a NoneType, not a Schedule"),
    "nameless": (faulty(name=3), "RT416", 1, "it has no name, a text"),
    "describe leaves": (faulty(describe=leaves), "RT416", 1, "describe() raises SystemExit: 3"),
    "schedule leaves": (faulty(schedule=leaves), "RT576", 4, "its schedule() raises SystemExit: 3"),
    "load raises": (faulty(load=boom), "RT576", 4, "its load() raises RuntimeError: boom"),
    "load leaves": (faulty(load=leaves), "RT576", 4, "its load() raises SystemExit: 3"),
    "load gives a pair": (faulty(load=lambda *_: (1, 2)), "RT576", 4, "gives a tuple, not a Loaded"),
    "no net": (loading(lambda made: made_of(3, made.codec, made.texts)), "RT576", 4, "is a int, not a Net"),
    "no codec": (loading(lambda made: made_of(made.net, 3, made.texts)), "RT576", 4, "has no encode()"),
    "no texts": (loading(lambda made: made_of(made.net, made.codec, 3)), "RT576", 4, "has no prompt()"),
    "nothing": (answering(lambda x: None), "RT576", 4, "gives NoneType for [1, 4, 8, 8]"),
    "fewer channels": (answering(lambda x: x[:, :2]), "RT576", 4, "gives [1, 2, 8, 8] for [1, 4, 8, 8]"),
    "whole numbers": (answering(lambda x: x.long()), "RT576", 4, "of int64 on cpu for [1, 4, 8, 8]"),
    "no number": (answering(lambda x: x / 0), "RT577", 4, "made values that are not finite of such as were"),
    "forward raises": (doing(boom), "RT576", 4, "its forward() raises RuntimeError: boom"),
    "forward leaves": (doing(leaves), "RT576", 4, "its forward() raises SystemExit: 3"),
    "forward ends all": (doing(lambda *_: os._exit(3)), "RT576", 4, "its forward() raises SystemExit: 3"),
    "forward writes": (doing(lambda net, rows: rows.x.zero_()), "RT576", 4, "writes into what it is given"),
    "forward learns": (doing(spoil_weights), "RT576", 4, "its forward() changes its weights"),
    "forward frees": (doing(lambda net, rows: rows.x.untyped_storage().resize_(0)), "RT576", 4, "FreedMemory"),
    "encodes thinly": (coding(encode=lambda x: x[:, :, :3]), "RT576", 4, "its codec's encode() gives [1, 3, 3, 16]"),
    "decodes grey": (
        coding(decode_freely=lambda x: x[:, :1]),
        "RT576",
        4,
        "its codec's decode_freely() gives [1, 1,",
    ),
    "decodes no number": (
        coding(decode_freely=lambda x: x.new_full((len(x), 3, 16, 16), torch.nan)),
        "RT577",
        4,
        "not finite",
    ),
    "says nothing": (reading(lambda text: of_words(None)), "RT576", 4, "its prompt() gives a NoneType, not a Prompt"),
    "says at once": (reading(lambda text: None), "RT576", 4, "its prompt() is no async function"),
    "leaves at a prompt": (reading(leaves), "RT576", 4, "its prompt() raises SystemExit: 3"),
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
    assert ("report it to faulty_family" in told) == (code in ("RT576", "RT577"))
    assert "Traceback" not in told


@pytest.mark.thorough
def test_what_one_changes_for_the_process_is_put_back_and_told(
    folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """While it loads and while it is asked; the picture is the one that the family makes without it."""
    gc.collect()
    module = ModuleType("faulty_family")
    monkeypatch.setitem(sys.modules, "faulty_family", module)
    monkeypatch.setattr(families, "installed", lambda: OURS | {"StableDiffusionXLPipeline": "faulty_family:FAMILY"})
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (16, 16), "white").save("cat.png")

    def acts(net: Net, rows: Rows) -> None:
        os.chdir("/")
        torch.manual_seed(3)

    for name, act in (("plain", lambda net, rows: None), ("acting", acts)):
        gc.collect()
        vars(module)["FAMILY"] = doing(act)
        args = ["run", "-e", RECIPE, "cat.png", "--model", str(folder_of("sdxl")), "--stamp", "none"]
        assert main([*args, "-o", f"{name}.png", "--no-store", "--again"]) == 0
        told = capsys.readouterr().err
        assert ("RT578" in told) == (name == "acting")
    assert "the family 'Stable Diffusion XL' of 'faulty_family' changed the folder that the process is in" in told
    assert "changed the state of torch's random numbers" in told
    assert Path("plain.png").read_bytes() == Path("acting.png").read_bytes()


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
