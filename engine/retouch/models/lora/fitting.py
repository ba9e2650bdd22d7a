"""LoRA files beside a model that was described: read from a recipe's texts, and held to it before anything loads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from retouch.models import families
from retouch.models.beside import blamed_on
from retouch.models.errors import BrokenModel
from retouch.models.files.digest import fingerprint
from retouch.models.files.kinds import WIDTHS, WeightsKind, kind_of
from retouch.models.info import ModelInfo
from retouch.models.lora.layers import Lora, read_lora
from retouch.models.lora.placing import NothingFits, Placed, Shapes, Spellings, place
from retouch.models.lora.stated import stated
from retouch.models.single_file import NETWORKS, checked_header

_TEXT = re.compile(r"(?P<file>.+?)(?:\*(?P<weight>-?(?:\d+\.?\d*|\.\d+)(?P<percent>%)?))?")
MOST = 20.0  # of a weight; more is a slip of the pen


def parsed(text: str) -> Lora:
    """Read "style.safetensors*0.8": a file, and its weight behind a star.  Raises BrokenModel."""
    found = _TEXT.fullmatch(text)
    if found is None or "*" in found["file"]:
        raise BrokenModel(f"'{text}' is no file with its weight behind a star")
    said = found["weight"]
    weight = 1.0 if said is None else float(said.removesuffix("%")) / (100 if found["percent"] else 1)
    if abs(weight) > MOST:
        raise BrokenModel(f"the weight of '{text}' is more than {MOST:g}; 1 is as it was trained")
    return Lora(Path(found["file"]).expanduser().resolve(), weight)


def with_loras(info: ModelInfo, texts: Sequence[str]) -> ModelInfo:
    """The same model with LoRA files beside its layers.  Raises BrokenModel where one of them does not fit."""
    loras: list[Lora] = []
    left: dict[str, tuple[str, ...]] = {}
    foreign: dict[str, str] = {}
    for text in texts:
        with blamed_on("lora", text):
            loras.append(parsed(text))
            if names := _unplaced(info, loras[-1]):
                left[text] = tuple(names)
            if said := said_of_another(info, loras[-1].file):
                foreign[text] = said
    # Another weight, or the same files in another order, makes other pictures.
    digest, weights = sha256(info.digest.encode()), sha256(info.weights.encode())
    for lora in loras:
        beside = f"{fingerprint([lora.file])} {lora.weight!r}".encode()
        digest.update(beside)
        weights.update(beside)
    return replace(
        info,
        name=" + ".join([info.name, *texts]),
        digest=digest.hexdigest()[:32],
        weights=weights.hexdigest()[:32],
        loras=tuple(loras),
        plain=info,
        left_over=left,
        foreign=foreign,
        texts=(*(info.texts or (info.name,)), *texts),
    )


def left_beside(info: ModelInfo, lora: Lora) -> list[str]:
    """Tensors of a file that do not act on the denoiser alone.  Raises BrokenModel where none does."""
    left = _unplaced(info, lora)
    layers, _ = read_lora(lora.file)
    texts = [tensor for layer in layers if layer.part for tensor in layer.factors.values()]
    if texts and all(layer.part for layer in layers):
        raise BrokenModel(f"'{lora.file.name}' acts on text encoders alone; `model` takes it, as lora=[…]")
    return [*dict.fromkeys((*left, *texts))]


def said_of_another(info: ModelInfo, file: Path) -> str:
    """For which other family a file says that it was trained; empty where it says none, or this one."""
    if (told := stated(file)) is None:
        return ""
    # Of a network that attends to text, the width of the text tells the kind; of two it is all that differs.
    shapes = (shapes_of(info) or {}).get("", {})
    widths = {shape[-1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")}
    own = next((WIDTHS[width] for width in widths if width in WIDTHS), "")
    another = own != told.family if own else families.of_another(told.family, info.pipeline)
    return f"{told.title} ('{told.said}')" if another else ""


def _unplaced(info: ModelInfo, lora: Lora) -> list[str]:
    """Tensors of a file that fit nowhere, as far as headers say."""
    _, left = read_lora(lora.file)
    kind = kind_of(checked_header(lora.file).tensors)
    other = kind is not None and families.of_another(kind.family, info.pipeline)
    shapes = shapes_of(info)
    try:
        if shapes is not None:
            return place(lora.file, shapes, spellings_of(info, shapes[""]))[1]
    except NothingFits:
        if kind is None or not other:
            raise
        raise _of_another(info, lora, kind) from None
    if kind and other:  # names of authors become the module's at load, where shapes are compared
        raise _of_another(info, lora, kind)
    return left


def _of_another(info: ModelInfo, lora: Lora, kind: WeightsKind) -> BrokenModel:
    return BrokenModel(f"'{lora.file.name}' is {kind.title}, and the model is a {info.family}")


def shapes_of(info: ModelInfo) -> Mapping[str, Shapes] | None:
    """Shapes of the weights of the denoiser (""), and of each text encoder; None where files have other names."""
    parts = [part for part in info.known.parts if part in NETWORKS or part.startswith("text_encoder")]
    if any(part in info.files.inside and info.files.inside[part].prefix for part in parts):
        return None
    return {
        "" if part in NETWORKS else part: {name: each.shape for name, each in info.files.tensors(part).items()}
        for part in parts
    }


def spellings_of(info: ModelInfo, shapes: Shapes) -> Spellings:
    """The names that the family's authors gave its layers, for files that have those."""
    spelt = getattr(families.named(info.pipeline), "spellings", None)
    modules = [name.removesuffix(".weight") for name in shapes if name.endswith(".weight")]
    return spelt(modules, info.files.read) if spelt else {}


def placed_on(info: ModelInfo, lora: Lora, parts: Mapping[str, Shapes]) -> dict[str, list[Placed]]:
    """Where a file's layers go, by the shapes that loaded modules have."""
    return place(lora.file, parts, spellings_of(info, parts[""]))[0]
