"""What a LoRA file holds: layers under the names that its trainer gave them, each with its factors.  No torch.

Names are diffusers' and peft's, kohya's, and those of the networks' authors, with whatever each puts before them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retouch.models.errors import BrokenModel
from retouch.models.files.headers import Header, Stored
from retouch.models.files.kinds import kind_of
from retouch.models.lora.stated import peft_settings
from retouch.models.single_file import checked_header

_LEAF = re.compile(
    r"(?P<path>.+?)(?P<old>_lora)?\.(?P<leaf>"
    r"lora_[AB](?:\.\w+)?\.weight|lora_(?:down|up|mid)\.weight|(?:lora\.)?(?:down|up)\.weight|alpha|"
    r"hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2)"
)
_SPELT = {"lora_A": "down", "lora_down": "down", "lora_B": "up", "lora_up": "up", "lora_mid": "mid"}
_NETWORK = re.compile(
    r"(?:base_model\.model\.)?(?:model\.)?(?:diffusion_model|unet|transformer)\.|base_model\.model\.|"
    r"lora_(?:unet|transformer)_|lycoris_"
)
_TEXT = re.compile(r"(?:base_model\.model\.)?(?:text_encoder|lora_te)(?P<number>_?\d)?[._]")
_TUCKER = {"mid", "hada_t1", "hada_t2", "lokr_t2"}
_REFUSED = {"dora": "a DoRA, whose magnitudes no LoRA has", "oft": "an OFT, which rotates weights and adds nothing"}


@dataclass(frozen=True, slots=True)
class Lora:
    """A file and how strongly it acts; 0 is not at all, 1 as it was trained."""

    file: Path
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LoraLayer:
    """One layer as the file has it.

    part: "" for the denoiser, else the folder of a text encoder.
    name: of the layer, with every dot and bar an underscore, and without what trainers put before it.
    factors: "down" and "up" of LoRA, "hada_…" of LoHa, "lokr_…" of LoKr, and "alpha", with the file's tensors.
    """

    part: str
    name: str
    factors: Mapping[str, str]
    stored: Mapping[str, Stored] = field(repr=False)
    scale: float | None = None  # where the file's metadata say it

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of what it adds, convolutions flattened."""

        def side(factor: str, axis: int) -> int:
            shape = self.stored[factor].shape
            return shape[0] if axis == 0 else self.stored[factor].numbers // shape[0]

        match self.factors:
            case {"down": _, "up": _}:
                return side("up", 0), side("down", 1)
            case {"hada_w1_a": _, "hada_w1_b": _, "hada_w2_a": _, "hada_w2_b": _}:
                return side("hada_w1_a", 0), side("hada_w1_b", 1)
            case _:
                ones = [self._product(f"lokr_w{i}") for i in (1, 2)]
                return ones[0][0] * ones[1][0], ones[0][1] * ones[1][1]

    def _product(self, factor: str) -> tuple[int, int]:
        """Rows and columns of a factor that may itself be a product."""
        first = self.stored.get(factor) or self.stored[f"{factor}_a"]
        last = self.stored.get(factor) or self.stored[f"{factor}_b"]
        return first.shape[0], last.numbers // last.shape[0]


def read_lora(file: Path) -> tuple[list[LoraLayer], list[str]]:
    """Return the layers of a file, and the tensors that belong to none.  Raises BrokenModel for what is no LoRA."""
    header = checked_header(file)
    kind = kind_of(header.tensors)
    if kind is None or kind.role != "lora":
        raise BrokenModel(f"'{file.name}' is {kind.title if kind else 'not known here'}, and no LoRA")
    if kind.format in _REFUSED:
        raise BrokenModel(f"'{file.name}' is {_REFUSED[kind.format]}; use one that was saved as a LoRA")
    found: dict[tuple[str, str], dict[str, str]] = {}
    left: list[str] = []
    for name in header.tensors:
        if not (match := _LEAF.fullmatch(name)):
            left.append(name)
            continue
        leaf = match["leaf"].removeprefix("lora.").removesuffix(".weight").split(".")[0]
        found.setdefault(_place(match["path"]), {})[_SPELT.get(leaf, leaf)] = name
    layers: list[LoraLayer] = []
    for (part, name), factors in found.items():
        if used := _TUCKER & factors.keys():
            # Three factors a layer: multiplied as two they would be another change, without a word.
            raise BrokenModel(f"'{file.name}' is a Tucker decomposition ({factors[min(used)]}), which is not read")
        # A file that was cut, or a format that is not known: what it lacks is told, not taken for zero.
        if not _whole(factors):
            left += factors.values()
            continue
        stored = {factor: header.tensors[tensor] for factor, tensor in factors.items()}
        layers.append(LoraLayer(part, name, factors, stored, _scale(header, part)))
    return layers, left


def _place(path: str) -> tuple[str, str]:
    """Which part a layer is of, and its name there."""
    if text := _TEXT.match(path):
        number = (text["number"] or "1").strip("_")
        part = "text_encoder" if number == "1" else f"text_encoder_{number}"
        return part, plain_name(path[text.end() :])
    network = _NETWORK.match(path)
    return "", plain_name(path[network.end() if network else 0 :])


def plain_name(path: str) -> str:
    """A module's path as it is compared: trainers write dots and bars alike, and older ones name processors."""
    return path.replace(".processor.", ".").removeprefix("text_model.").replace(".", "_").removeprefix("text_model_")


def _whole(factors: Mapping[str, str]) -> bool:
    """Whether all factors of one kind are there."""
    if {"down", "up"} <= factors.keys():
        return True
    if {f"hada_w{i}_{each}" for i in "12" for each in "ab"} <= factors.keys():
        return True
    return all(f"lokr_w{i}" in factors or {f"lokr_w{i}_a", f"lokr_w{i}_b"} <= factors.keys() for i in "12")


def _scale(header: Header, part: str) -> float | None:
    """What peft kept of its settings: alpha by rank, where all layers have the same."""
    said = peft_settings(header.metadata)
    for prefix in (part,) if part else ("unet", "transformer"):
        alpha, rank = said.get(f"{prefix}.lora_alpha"), said.get(f"{prefix}.r")
        if isinstance(alpha, int | float) and isinstance(rank, int) and rank:
            return alpha / rank
    return None
