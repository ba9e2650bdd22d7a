"""Single files and folders are told by names and shapes in their headers, without torch."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from retouch.cli.main import main
from retouch.models.errors import BrokenModel
from retouch.models.recognise import look_into
from tests.models.mutations import UNET, shard

M = "model.diffusion_model."
FLUX = {f"{M}double_blocks.0.img_attn.qkv.weight": (12, 4), f"{M}img_in.weight": (4, 64)}
D = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
SINGLE = "transformer.single_transformer_blocks.0.attn.to_q"
MLP = "transformer.transformer_blocks.0.img_mlp.net.2"
SD_IN = f"{M}input_blocks.0.0.weight"


def attn(width: int, block: int = 2) -> dict[str, tuple[int, ...]]:
    return {f"{M}input_blocks.{block}.1.transformer_blocks.0.attn2.to_k.weight": (4, width), SD_IN: (4, 4, 3, 3)}


def kohya(leaf: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.{leaf}": (4, width)}


FILES = {
    "sd1": (attn(768), "model", "sd1", "ldm"),
    "sd2": (attn(1024), "model", "sd2", "ldm"),
    "sdxl": (attn(2048, 4), "model", "sdxl", "ldm"),
    "sdxl refiner": (attn(1280, 4), "model", "sdxl-refiner", "ldm"),
    "sd1 inpainting": (attn(768) | {SD_IN: (4, 9, 3, 3)}, "model", "sd-inpaint", "ldm"),
    "pix2pix": (attn(768) | {SD_IN: (4, 8, 3, 3)}, "model", "instruct-pix2pix", "ldm"),
    "sd3": ({f"{M}joint_blocks.0.x_block.attn.qkv.weight": (12, 4)}, "model", "sd3", "ldm"),
    "sd3 without a prefix": ({"joint_blocks.0.x_block.attn.qkv.weight": (12, 4)}, "model", "sd3", "ldm"),
    "flux dev": (FLUX | {f"{M}guidance_in.in_layer.weight": (4, 4)}, "model", "flux-dev", "ldm"),
    "flux schnell": (FLUX, "model", "flux-schnell", "ldm"),
    "flux fill": (FLUX | {f"{M}img_in.weight": (4, 384)}, "model", "flux-fill", "ldm"),
    "flux2": ({"double_stream_modulation_img.lin.weight": (4, 4)}, "model", "flux2", "ldm"),
    "sdxl network": ({f"{D}.weight": (4, 2048)}, "network", "sdxl", "diffusers"),
    "flux network": ({"single_transformer_blocks.0.proj_mlp.weight": (4, 4)}, "network", "flux", "diffusers"),
    "vae": ({"decoder.conv_in.weight": (4, 4, 3, 3)}, "vae", "4 channels", "ldm"),
    "vae of flux": (
        {"decoder.conv_in.weight": (4, 16, 3, 3), "decoder.up.0.block.0.norm1.weight": (4,)},
        "vae",
        "16 channels",
        "ldm",
    ),
    "clip": ({"text_model.embeddings.token_embedding.weight": (9, 4)}, "text encoder", "clip", "diffusers"),
    "t5": ({"encoder.block.0.layer.0.SelfAttention.q.weight": (4, 4)}, "text encoder", "t5", "diffusers"),
    "esrgan": ({"model.1.sub.0.RDB1.conv1.0.weight": (4, 4, 3, 3)}, "upscaler", "esrgan", "esrgan"),
    "real-esrgan": ({"body.0.rdb1.conv1.weight": (4, 4, 3, 3)}, "upscaler", "esrgan", "esrgan"),
    "controlnet": ({"control_model.time_embed.0.weight": (4, 4)} | attn(768), "controlnet", "", "ldm"),
    "embedding": ({"emb_params": (3, 768)}, "embedding", "sd1", "kohya"),
    "kohya sd1": (kohya("lora_down.weight", 768), "lora", "sd1", "kohya"),
    "kohya sdxl": (kohya("lora_down.weight", 2048), "lora", "sdxl", "kohya"),
    "kohya flux": ({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (4, 9)}, "lora", "flux", "kohya"),
    "kohya sd3": ({"lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (4, 9)}, "lora", "sd3", "kohya"),
    "loha": (kohya("hada_w1_b", 768) | kohya("hada_w1_a", 4), "lora", "sd1", "loha"),
    "lokr": (kohya("lokr_w1", 4), "lora", "", "lokr"),
    "dora": (kohya("lora_down.weight", 768) | kohya("dora_scale", 1), "lora", "sd1", "dora"),
    "peft sd1": ({f"unet.{D}.lora_A.weight": (4, 768)}, "lora", "sd1", "diffusers"),
    "peft flux": ({f"{SINGLE}.lora_A.weight": (4, 9)}, "lora", "flux", "diffusers"),
    "peft qwen": ({f"{MLP}.lora_A.weight": (4, 9)}, "lora", "qwen-image", "diffusers"),
    "old diffusers": ({f"unet.{D}.lora.down.weight": (4, 768)}, "lora", "sd1", "diffusers"),
}


def write(path: Path, shapes: dict[str, tuple[int, ...]], dtype: str = "F16") -> Path:
    """A file of zeros."""
    at, header = 0, {}
    for name, shape in shapes.items():
        count = 2
        for side in shape:
            count *= side
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + count]}
        at += count
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    return path


@pytest.mark.parametrize("what", FILES)
def test_a_single_file_is_recognised(tmp_path: Path, what: str) -> None:
    shapes, role, family, form = FILES[what]
    seen = look_into(write(tmp_path / "x.safetensors", shapes))
    assert (seen.role, seen.family, seen.format) == (role, family, form)
    assert seen.precisions == ("F16",)
    assert seen.bytes == 2 * seen.numbers > 0
    assert seen.cannot


def test_what_no_row_fits_is_said(tmp_path: Path) -> None:
    seen = look_into(write(tmp_path / "x.safetensors", {"a": (3,)}))
    assert seen.what == "weights that are not known here"


def test_a_model_without_its_other_parts_says_so(tmp_path: Path) -> None:
    seen = look_into(write(tmp_path / "x.safetensors", attn(768) | {"first_stage_model.a": (2,)}))
    assert [*seen.parts] == ["network", "VAE"]
    assert "it has no text encoder of its own" in seen.notes


@pytest.mark.parametrize("sharded", [False, True])
def test_a_folder_is_told_with_its_parts(folder: Path, sharded: bool) -> None:
    whole = look_into(folder)
    if sharded:
        shard(folder)
    seen = look_into(folder)
    assert seen.bytes == whole.bytes
    assert seen.parts["unet"].numbers == whole.parts["unet"].numbers
    assert any("be edited with" in each for each in seen.can)
    assert not seen.cannot


def test_a_broken_folder_says_what_is_wrong(folder: Path) -> None:
    (folder / "vae/config.json").write_text("{}")
    seen = look_into(folder)
    assert not seen.can
    assert "vae/config.json is for nothing, and AutoencoderKL is read here" in seen.cannot[0]


@pytest.mark.parametrize(
    ("name", "said"), [("x.ckpt", "convert it: python -c"), ("x.gguf", "a GGUF file"), ("none", "there is no")]
)
def test_what_is_not_read_is_refused(tmp_path: Path, name: str, said: str) -> None:
    if name != "none":
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BrokenModel, match=said):
        look_into(tmp_path / name)


def test_the_command_answers_people_and_programs(saved: Path, tmp_path: Path, capsys) -> None:
    lora = str(write(tmp_path / "ink.safetensors", kohya("lora_down.weight", 768)))
    assert main(["models", str(saved), lora]) == 0
    said = capsys.readouterr().out
    assert "can: take pictures up to 64 pixels a side" in said
    assert "ink.safetensors: a LoRA for Stable Diffusion 1" in said
    assert main(["models", "--json", lora]) == 0
    assert json.loads(capsys.readouterr().out)["family"] == "sd1"
    assert main(["models", str(tmp_path / "none.safetensors")]) == 1
    assert "error[RT416]" in capsys.readouterr().err


def test_a_look_imports_nothing_heavy(saved: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from retouch.models.recognise import look_into\n"
        f"look_into(Path({str(saved)!r})); look_into(Path({str(saved / UNET)!r}))\n"
        "print({'torch', 'diffusers', 'transformers', 'safetensors', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
