"""LoRA files in every format, with what each of them adds to the weights, made by hand in float64."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

RANK = 4
TAKEN = re.compile(
    r".*(?:attn\d?\.to_[qkv]|attn\.add_[qkv]_proj|attention\.to_[qkv]|to_out\.0|ff\.net\.2|conv1|to_qkv_mlp_proj)\.weight"
)


@dataclass
class Made:
    """A file in the making, and by the name of each weight what it adds at weight 1."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    adds: dict[str, Tensor] = field(default_factory=dict)

    def to(self, path: Path) -> Path:
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, path)
        return path


def some(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that a trainer takes."""
    return {name: weight for name, weight in weights.items() if TAKEN.fullmatch(name) and min(weight.shape[:2]) > 2}


class Draw:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator) * 0.15


def low_rank(draw: Draw, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Down, up and their product; those of a convolution are convolutions."""
    out, rest = weight.shape[0], weight.shape[1:]
    up, down = draw(out, RANK), draw(RANK, *rest)
    product = (up.double() @ down.double().flatten(1)).reshape(weight.shape)
    return down, up.reshape(out, RANK, *[1] * (len(rest) - 1)), product


def kohya(weights: Mapping[str, Tensor], prefix: str = "lora_unet_") -> Made:
    made, draw = Made(), Draw(1)
    for name, weight in weights.items():
        down, up, product = low_rank(draw, weight)
        layer = prefix + name.removesuffix(".weight").replace(".", "_")
        made.tensors |= {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}
        made.tensors[f"{layer}.alpha"] = torch.tensor(2.0)
        made.adds[name] = product * (2.0 / RANK)
    return made


def peft(weights: Mapping[str, Tensor], prefix: str) -> Made:
    made, draw = Made(), Draw(2)
    for name, weight in weights.items():
        down, up, product = low_rank(draw, weight)
        layer = prefix + name.removesuffix(".weight")
        made.tensors |= {f"{layer}.lora_A.weight": down, f"{layer}.lora_B.weight": up}
        made.adds[name] = product
    return made


def loha(weights: Mapping[str, Tensor]) -> Made:
    made, draw = Made(), Draw(3)
    for name, weight in weights.items():
        out, columns = weight.shape[0], weight[0].numel()
        a, b, c, d = draw(out, RANK), draw(RANK, columns), draw(out, RANK), draw(RANK, columns)
        layer = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
        factors = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "alpha": torch.tensor(1.0)}
        made.tensors |= {f"{layer}.{leaf}": tensor for leaf, tensor in factors.items()}
        product = (a.double() @ b.double()) * (c.double() @ d.double())
        made.adds[name] = product.reshape(weight.shape) * (1.0 / RANK)
    return made


def lokr(weights: Mapping[str, Tensor]) -> Made:
    """A small square by a larger matrix, which is whole or itself of low rank."""
    made, draw = Made(), Draw(4)
    for i, (name, weight) in enumerate(weights.items()):
        out, rest = weight.shape[0], weight.shape[1:]
        layer = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
        one, shape = draw(2, 2), (out // 2, rest[0] // 2, *rest[1:])
        if i % 2:
            a, b = draw(shape[0], RANK), draw(RANK, *shape[1:])
            two, scale = (a.double() @ b.double().flatten(1)).reshape(shape), 2.0 / RANK
            made.tensors |= {f"{layer}.lokr_w2_a": a, f"{layer}.lokr_w2_b": b, f"{layer}.alpha": torch.tensor(2.0)}
        else:
            two, scale = draw(*shape).double(), 1.0
            made.tensors |= {f"{layer}.lokr_w2": two.float(), f"{layer}.alpha": torch.tensor(9.0)}
        made.tensors[f"{layer}.lokr_w1"] = one
        blown = one.double().reshape(2, 2, *[1] * (len(shape) - 2))
        made.adds[name] = torch.kron(blown, two).reshape(weight.shape) * scale
    return made


FORMATS: dict[str, Callable[[Mapping[str, Tensor]], Made]] = {
    "kohya": kohya,
    "peft": lambda weights: peft(weights, "transformer."),
    "unprefixed": lambda weights: peft(weights, "base_model.model."),
    "loha": loha,
    "lokr": lokr,
}


def fused(qkv: Mapping[str, tuple[str, ...]], weights: Mapping[str, Tensor], prefix: str, bars: bool) -> Made:
    """A file whose layers its authors did not cut.  qkv: each with the weights that it became."""
    made, draw = Made(), Draw(5)
    for layer, names in qkv.items():
        whole = torch.cat([weights[name] for name in names])
        down, up, product = low_rank(draw, whole)
        key = prefix + (layer.replace(".", "_") if bars else layer)
        leaves = ("lora_down", "lora_up") if bars else ("lora_A", "lora_B")
        made.tensors |= {f"{key}.{leaves[0]}.weight": down, f"{key}.{leaves[1]}.weight": up}
        at = 0
        for name in names:
            made.adds[name] = product[at : at + len(weights[name])]
            at += len(weights[name])
    return made
