"""A model in one file, made of a tiny folder: all tensors in its authors' names, and what it answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from retouch.models.catalog import find
from retouch.run.executor import run
from retouch.run.loaded.loaded_model import Machine
from tests.families import authors_names as authors

FolderOf = Callable[[str], Path]


def stored(folder: Path, part: str) -> dict[str, Tensor]:
    return load_file(next((folder / part).glob("*.safetensors")))


def config(folder: Path, part: str) -> dict[str, Any]:
    return json.loads((folder / part / "config.json").read_text())


def whole(name: str, folder: Path) -> dict[str, Tensor]:
    """All tensors of a model, in its authors' names."""
    if name == "sd3":
        return whole_sd3(folder)
    made = authors.unet(config(folder, "unet"), stored(folder, "unet"))
    made |= authors.vae(config(folder, "vae"), stored(folder, "vae"))
    if name == "stable_diffusion":
        return made | authors.clip(stored(folder, "text_encoder"), "cond_stage_model.transformer.")
    made |= authors.clip(stored(folder, "text_encoder"), "conditioner.embedders.0.transformer.")
    return made | authors.open_clip(stored(folder, "text_encoder_2"))


def whole_sd3(folder: Path) -> dict[str, Tensor]:
    """One file of everything, as it was published: T5's words lie in it twice, and counts beside its texts."""
    named = authors.sd3(stored(folder, "transformer"))
    made = {f"model.diffusion_model.{name}": tensor for name, tensor in named.items()}
    made |= authors.vae(config(folder, "vae"), stored(folder, "vae"))
    for number, text in (("", "clip_l"), ("_2", "clip_g"), ("_3", "t5xxl")):
        own = stored(folder, f"text_encoder{number}")
        made |= {f"text_encoders.{text}.transformer.{name}": tensor for name, tensor in own.items()}
        made[f"text_encoders.{text}.logit_scale"] = torch.tensor(4.6)
    words = "text_encoders.t5xxl.transformer.shared.weight"
    return made | {words.replace("shared", "encoder.embed_tokens"): made[words]}


def written(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, {"format": "pt"})
    return path


def without_weights(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))


def answers(machine: Machine, cells: int = 8) -> list[Tensor]:
    """A forward pass, a prompt with what else it holds, a decoded and an encoded picture."""
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(machine.info.channels, cells, cells, generator=draw)
    side = cells * machine.info.scale
    (prompt,) = run(machine.texts.prompt("a white cat"))
    level = machine.schedule(4, (cells, cells)).steps[1].noisy
    (said,) = run(machine.denoiser(x, level, prompt))
    picture = torch.rand(1, 3, side, side, generator=draw)
    return [
        said.pair,
        prompt.embeds,
        *prompt.extra.values(),
        machine.codec.decode(x[None]),
        machine.codec.encode(picture),
    ]


def machine(name: str, **beside: Any) -> Machine:
    return Machine(find(name, **beside), "cpu", torch.float32)


def empty(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    return written(path, {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()})


M = "model.diffusion_model."
SD1 = {
    f"{M}input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight": (4, 768),
    f"{M}input_blocks.0.0.weight": (4, 4, 3, 3),
}
SD2 = {
    f"{M}input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight": (4, 1024),
    f"{M}input_blocks.0.0.weight": (4, 4, 3, 3),
}
FLUX = {f"{M}double_blocks.0.img_attn.qkv.weight": (12, 4), f"{M}img_in.weight": (4, 64)}
VAE = {"first_stage_model.decoder.conv_in.weight": (4, 4, 3, 3)}
TEXT = {"cond_stage_model.transformer.text_model.x": (3,)}
LORA = {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 768)}
