"""Ways in which a model's folder can be broken, by name: each changes a copy of the tiny one in place."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.models.tiny_folder import config, tensors

CONFIGS = ("unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json")
WEIGHTS = (
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
)
UNET, VAE, TEXT = WEIGHTS
Harm = Callable[[Path], None]
HUGE = 10**9


def all_harms() -> dict[str, Harm]:
    """Each by what is broken."""
    return dict([*_files(), *_values(), *_weights(), *_headers(), *_tokenizers(), *_shards()])


def _files() -> Iterator[tuple[str, Harm]]:
    for name in (*CONFIGS, *WEIGHTS, "tokenizer/tokenizer.json"):
        yield f"{name} missing", lambda folder, name=name: (folder / name).unlink()
        yield f"{name} empty", lambda folder, name=name: _write(folder / name, b"")
        yield f"{name} noise", lambda folder, name=name: _write(folder / name, bytes(range(256)) * 4)
        yield f"{name} a link to itself", lambda folder, name=name: _loop(folder / name)
        yield f"{name} a folder", lambda folder, name=name: _folder(folder / name)
        yield f"{name} a pipe", lambda folder, name=name: _pipe(folder / name)
    for name in (*CONFIGS, "tokenizer/tokenizer.json"):
        for what, text in {
            "cut off": b'{"a": ', "a list": b"[]", "a number": b"3", "null": b"null",
            "nested": b"[" * 100_000, "long digits": b'{"a": ' + b"9" * 10_000 + b"}",
            "utf-16": '{"a": 1}'.encode("utf-16"),
        }.items():  # fmt: skip
            yield f"{name} {what}", lambda folder, name=name, text=text: _write(folder / name, text)
    for name in (*CONFIGS[:3], "tokenizer/tokenizer.json"):  # a scheduler has a default for everything
        yield f"{name} an empty object", lambda folder, name=name: _write(folder / name, b"{}")
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        yield f"{part} a link to itself", lambda folder, part=part: _loop(folder / part)


def _values() -> Iterator[tuple[str, Harm]]:
    keys = {
        "unet/config.json": [
            "in_channels", "out_channels", "sample_size", "block_out_channels", "cross_attention_dim",
            "down_block_types", "up_block_types", "norm_num_groups", "_class_name",
        ],
        "vae/config.json": ["latent_channels", "block_out_channels", "norm_num_groups", "_class_name"],
        "text_encoder/config.json": [
            "hidden_size", "vocab_size", "max_position_embeddings", "num_hidden_layers", "num_attention_heads",
            "intermediate_size", "model_type",
        ],
        "scheduler/scheduler_config.json": ["num_train_timesteps", "beta_start", "beta_end", "beta_schedule"],
    }  # fmt: skip
    wrong: dict[str, Any] = {
        "a text": "four", "huge": HUGE, "negative": -1, "a list of texts": ["a"], "an object": {"a": 1}, "null": None,
        "a truth": True, "enormous": 10**30,
    }  # fmt: skip
    fine = {("scheduler/scheduler_config.json", "null")}
    for name, of_file in keys.items():
        for key in of_file:
            for what, value in wrong.items():
                if (name, what) not in fine:
                    yield (
                        f"{key} {what}",
                        lambda folder, name=name, key=key, value=value: _set(folder, name, key, value),
                    )
    for key, value in {
        "layers_per_block": HUGE, "transformer_layers_per_block": HUGE, "block_out_channels": [32] * 5000,
        "attention_head_dim": 0, "layers_per_block ": [1, 1, 1],
    }.items():  # fmt: skip
        yield (
            f"unet {key} {str(value)[:20]}",
            lambda folder, key=key, value=value: _set(folder, CONFIGS[0], key.strip(), value),
        )
    yield "steps_offset huge", lambda folder: _set(folder, CONFIGS[3], "steps_offset", HUGE)
    yield "trained_betas texts", lambda folder: _set(folder, CONFIGS[3], "trained_betas", ["a"])
    yield "timestep_spacing unknown", lambda folder: _set(folder, CONFIGS[3], "timestep_spacing", "wide")
    yield "scaling_factor zero", lambda folder: _set(folder, CONFIGS[1], "scaling_factor", 0)
    for text in ("[]", '{"defaults": 3}', '{"stages": {"invert ddim": 1}}', '{"largest_side": "big"}', "{"):
        yield f"card {text}", lambda folder, text=text: _write(folder / "card.json", text.encode())


def _weights() -> Iterator[tuple[str, Harm]]:
    for name in WEIGHTS:
        yield f"{name} not a number", lambda folder, name=name: _fill(folder / name, float("nan"))
        yield f"{name} infinite", lambda folder, name=name: _fill(folder / name, float("inf"))
        yield f"{name} whole numbers", lambda folder, name=name: _cast(folder / name, torch.int64)
        yield f"{name} truths", lambda folder, name=name: _cast(folder / name, torch.bool)
        yield (
            f"{name} of another model",
            lambda folder, name=name: save_file({"a.weight": torch.zeros(3)}, folder / name),
        )
        yield f"{name} a tensor less", lambda folder, name=name: _drop(folder / name)
        yield f"{name} a tensor more", lambda folder, name=name: _add(folder / name)
        yield f"{name} transposed", lambda folder, name=name: _transpose(folder / name)
        for suffix in (".bin", ".ckpt", ".pt"):
            yield (
                f"{name} only {suffix}",
                lambda folder, name=name, suffix=suffix: _rename(folder / name, (folder / name).with_suffix(suffix)),
            )


def _headers() -> Iterator[tuple[str, Harm]]:
    for name in WEIGHTS:
        for size in (3, 8, 100, -1, -1000):
            yield f"{name} cut at {size}", lambda folder, name=name, size=size: _cut(folder / name, size)
        yield (
            f"{name} with a tail",
            lambda folder, name=name: _write(folder / name, (folder / name).read_bytes() + b"tail"),
        )
        for length in (0, 1, HUGE, 2**63):
            yield f"{name} header of {length}", lambda folder, name=name, length=length: _length(folder / name, length)
        for what, change in {
            "shape": {"shape": [10**12, 10**12]}, "negative": {"shape": [-1]}, "type": {"dtype": "F4"},
            "offsets": {"data_offsets": [5, 1]}, "overlap": {"data_offsets": [0, 4]}, "texts": {"shape": "3"},
        }.items():  # fmt: skip
            yield (
                f"{name} header misstates {what}",
                lambda folder, name=name, change=change: _lie(folder / name, change),
            )


def _tokenizers() -> Iterator[tuple[str, Harm]]:
    name = "tokenizer/tokenizer.json"
    yield "no vocabulary", lambda folder: _tokenizer(folder, lambda said: said["model"].pop("vocab"))
    yield "empty vocabulary", lambda folder: _tokenizer(folder, lambda said: said["model"].update(vocab={}))
    yield "ids are texts", lambda folder: _tokenizer(folder, lambda said: said["model"]["vocab"].update(a="b"))
    yield "an id too large", lambda folder: _tokenizer(folder, lambda said: said["model"]["vocab"].update(zz=HUGE))
    yield "added tokens misstated", lambda folder: _tokenizer(folder, lambda said: said.update(added_tokens=[1]))
    yield "model is a text", lambda folder: _tokenizer(folder, lambda said: said.update(model="BPE"))
    yield "an unknown model", lambda folder: _tokenizer(folder, lambda said: said["model"].update(type="Odd"))
    yield "merges are numbers", lambda folder: _tokenizer(folder, lambda said: said["model"].update(merges=[1, 2]))
    yield "tokenizer_config broken", lambda folder: _write(folder / "tokenizer/tokenizer_config.json", b"{")
    yield f"{name} gone and merges.txt no text", lambda folder: _old_tokenizer(folder, b"\xff\xfe\x00")
    yield f"{name} gone and no merges.txt", lambda folder: _old_tokenizer(folder, None)


def _shards() -> Iterator[tuple[str, Harm]]:
    stem = "unet/diffusion_pytorch_model.safetensors.index.json"
    for what, index in {
        "naming a missing shard": {"weight_map": {"conv_in.weight": "a-00001-of-00002.safetensors"}},
        "leading out of its folder": {"weight_map": {"conv_in.weight": "../vae/diffusion_pytorch_model.safetensors"}},
        "without a map": {}, "with an empty map": {"weight_map": {}}, "with a list": {"weight_map": ["a"]},
        "with numbers": {"weight_map": {"conv_in.weight": 1}}, "naming itself": {"weight_map": {"a": Path(stem).name}},
    }.items():  # fmt: skip
        yield f"an index {what}", lambda folder, index=index: _index(folder, stem, index)
    yield "an index that lacks a tensor", lambda folder: _sharded(folder, lambda where: where.popitem())
    yield (
        "an index with one tensor too many",
        lambda folder: _sharded(folder, lambda where: where.update(odd=next(iter(where.values())))),
    )


def shard(folder: Path, name: str = UNET, count: int = 3) -> dict[str, str]:
    """Lay the weights of a part out in shards, as the libraries do; returns which shard has which tensor."""
    path = folder / name
    content = load_file(path)
    path.unlink()
    stem = path.name.removesuffix(".safetensors")
    where = {
        tensor: f"{stem}-{1 + i * count // len(content):05}-of-{count:05}.safetensors"
        for i, tensor in enumerate(content)
    }
    for file in dict.fromkeys(where.values()):
        save_file({tensor: content[tensor] for tensor in content if where[tensor] == file}, path.parent / file)
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": where})
    (path.parent / f"{path.name}.index.json").write_text(text)
    return where


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _loop(path: Path) -> None:
    path.rename(path.with_name(f"old-{path.name}"))
    path.symlink_to(path.name)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _rename(path: Path, to: Path) -> None:
    path.rename(to)


def _set(folder: Path, name: str, key: str, value: Any) -> None:
    with config(folder, name) as content:
        content[key] = value


def _fill(path: Path, value: float) -> None:
    with tensors(path) as content:
        content[sorted(content)[len(content) // 2]].view(-1)[-1] = value


def _cast(path: Path, dtype: torch.dtype) -> None:
    save_file({name: tensor.to(dtype) for name, tensor in load_file(path).items()}, path)


def _drop(path: Path) -> None:
    with tensors(path) as content:
        del content[sorted(content)[len(content) // 2]]


def _add(path: Path) -> None:
    with tensors(path) as content:
        content["odd.weight"] = torch.zeros(2)


def _transpose(path: Path) -> None:
    with tensors(path) as content:
        name = next(name for name, each in content.items() if each.dim() > 1 and each.shape[0] != each.shape[1])
        content[name] = content[name].transpose(0, 1).contiguous()


def _cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def _length(path: Path, length: int) -> None:
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])


def _lie(path: Path, change: dict[str, Any]) -> None:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    said = json.loads(content[8 : 8 + length])
    name = sorted(key for key in said if key != "__metadata__")[-1]
    said[name] |= change
    text = json.dumps(said).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def _tokenizer(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    with config(folder, "tokenizer/tokenizer.json") as said:
        change(said)


def _old_tokenizer(folder: Path, merges: bytes | None) -> None:
    said = json.loads((folder / "tokenizer/tokenizer.json").read_text())
    (folder / "tokenizer/tokenizer.json").unlink()
    (folder / "tokenizer/vocab.json").write_text(json.dumps(said["model"]["vocab"]))
    if merges is not None:
        (folder / "tokenizer/merges.txt").write_bytes(merges)


def _index(folder: Path, name: str, content: dict[str, Any]) -> None:
    (folder / UNET).unlink()
    (folder / name).write_text(json.dumps(content))


def _sharded(folder: Path, change: Callable[[dict[str, str]], Any]) -> None:
    shard(folder)
    with config(folder, f"{UNET}.index.json") as said:
        change(said["weight_map"])
