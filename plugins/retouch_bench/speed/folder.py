"""A model folder in the diffusers layout with random weights, and pictures to edit with it, written on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from retouch_bench.speed.denoising import SCHEDULER
from retouch_bench.speed.report import release
from retouch_bench.speed.shapes import Shape


def write_model(shape: Shape, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
    """Write every part of a text-to-image model; the tokenizer is the embedded model's, with longer prompts."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    folder.mkdir(parents=True)
    _tokenizer(folder / "tokenizer", shape.prompt[0])
    DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    parts: dict[str, Any] = {
        "unet": shape.denoiser,
        "vae": shape.autoencoder,
        "text_encoder": shape.text_encoder,
    }
    for name, make in parts.items():
        make(device, dtype).save_pretrained(folder / name)
    release()


def _tokenizer(folder: Path, length: int) -> None:
    import retouch_storybook

    shipped = Path(retouch_storybook.__file__).parent / "weights" / "tokenizer"
    folder.mkdir()
    config = json.loads((shipped / "tokenizer_config.json").read_text("utf-8")) | {"model_max_length": length}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_bytes((shipped / "tokenizer.json").read_bytes())


def draw_pictures(folder: Path, side: int, count: int) -> list[Path]:
    """Write `count` pictures of `side` pixels, smooth noise, each another."""
    folder.mkdir(parents=True)
    paths = [folder / f"{i:04d}.png" for i in range(count)]
    for i, path in enumerate(paths):
        coarse = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path, compress_level=1)
    return paths
