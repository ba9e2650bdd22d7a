"""A family by somebody else, written from the guide: a distribution of one short file, and everything works with it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import PixArtTransformer2DModel
from PIL import Image

from retouch.api.kit import ModelLoading, NetworkCore
from retouch.cli.main import main
from retouch.core.denoiser import Denoiser
from retouch.core.schedule import split
from retouch.core.values import Canvas, Edit, Latents
from retouch.models.files.model_files import ModelFiles
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.p2p import p2p
from tests.e2e.command import in_warm_process
from tests.families.tiny_parts import ddim, randomised, t5_text, t5_words, vae

STRANGER = Path(__file__).parent / "stranger"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny PixArt, random."""
    home = tmp_path_factory.mktemp("pixart")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts: dict[str, Any] = {
            "scheduler": ddim(),
            "tokenizer": t5_words(40),
            "text_encoder": t5_text(32),
            "vae": vae(0.18215),
            "transformer": randomised(
                PixArtTransformer2DModel(
                    sample_size=8,
                    num_layers=4,
                    attention_head_dim=8,
                    num_attention_heads=4,
                    caption_channels=32,
                    in_channels=4,
                    out_channels=8,
                    cross_attention_dim=32,
                )
            ),
        }
        for part, value in parts.items():
            value.save_pretrained(home / part)
    (home / "model_index.json").write_text(json.dumps({"_class_name": "PixArtAlphaPipeline"}))
    return home


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The stranger's distribution, installed by pip into a folder of its own."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", target, STRANGER], check=True, capture_output=True)
    return {"PYTHONPATH": str(target)}


def test_it_is_short_and_imports_of_ours_the_api_alone():
    """The guide's promise: 80 lines."""
    text = (STRANGER / "retouch_pixart.py").read_text()
    assert len(text.splitlines()) <= 80
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    ours = {node.module for node in nodes if node.module and node.module.startswith("retouch")}
    assert ours == {"retouch", "retouch.api", "retouch.api.kit"}


@pytest.mark.thorough
def test_a_recipe_runs_on_its_model(installed: dict[str, str], folder: Path, tmp_path: Path):
    """A process of its own, as a user has it; outside the mask not a byte differs."""
    pixels = np.random.default_rng(0).integers(0, 256, (18, 22, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    (tmp_path / "cat.txt").write_text("a white cat\n")
    recipe = 'invert ddim steps=3 | mask box right=50% | attend p2p "cat"->"dog" | blend latent | blend pixel'
    args = ("run", "-e", recipe, "cat.png", "-o", "dog.png", "--model", folder)
    done = in_warm_process(*args, folder=tmp_path, env=installed)
    assert done.code == 0, done.out + done.err
    changed = (np.asarray(Image.open(tmp_path / "dog.png")) != pixels).any(-1)
    assert changed[:, :11].any()
    assert not changed[:, 11:].any()


def test_without_it_the_model_is_refused_by_the_name_of_its_pipeline(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """And what could be read is listed."""
    Image.new("RGB", (16, 16)).save(tmp_path / "cat.png")
    recipe = 'invert ddim "cat"->"dog"'
    assert main(["plan", "-e", recipe, str(tmp_path / "cat.png"), "--model", str(folder)]) == 1
    said = "".join(capsys.readouterr())
    assert "PixArtAlphaPipeline" in said
    assert "FluxPipeline" in said


def test_its_forward_and_our_laws(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The module's own bits, and our controls at its attention."""
    monkeypatch.syspath_prepend(str(STRANGER))
    from retouch_pixart import FAMILY

    files = ModelFiles.of_folder(folder)
    known, parts = FAMILY.describe(files.read), ModelLoading(files)
    loaded = FAMILY.load(known, parts)
    model = Denoiser(NetworkCore(loaded.net, known.prediction, known.sites))
    edit = Edit(*(run(loaded.texts.prompt(text))[0] for text in ("a white cat", "a white dog", "")))
    schedule, x = FAMILY.schedule(parts.config, 4, (8, 8)), Draws(0).tensor(1, 4, 8, 8)
    level = schedule.steps[1].noisy
    sizes = {"resolution": None, "aspect_ratio": None}
    with torch.no_grad():
        said = loaded.net.module(
            x,
            edit.source.embeds[None],
            torch.tensor([float(level.timestep)]),
            sizes,
            encoder_attention_mask=edit.source.extra["mask"][None].float(),
        ).sample[:, :4]
    wanted = split("epsilon", x, said, torch.tensor(level.alpha), torch.tensor(level.sigma))[0]
    assert torch.equal(run(model(x[0], level, edit.source))[0].pair, wanted)
    laws.family_laws(FAMILY, folder)  # its memory, too
    world = World(model, Latents(x[0], Canvas(16, 16, 2)), edit, schedule)
    for control in (p2p, masactrl):
        assert laws.identity_law(control, world) < 1e-4
        laws.touch_law(control, world)
