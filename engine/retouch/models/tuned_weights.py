"""Files of `save weights` on a model: held to it by their headers before anything loads, and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.core.tuned.weights_file import BASE, DOWN, EMBEDS, KIND, UP, WEIGHTS, has_words, read
from retouch.models.errors import BrokenModel
from retouch.models.files.headers import FLOATS, Stored
from retouch.models.lora.fitting import shapes_of
from retouch.models.single_file import NETWORKS, checked_header

if TYPE_CHECKING:
    import torch

    from retouch.core.tuning import ModelDelta
    from retouch.models.info import ModelInfo

Shapes = Mapping[str, tuple[int, ...]]


def network_digest(info: ModelInfo) -> str:
    """The fingerprint of the denoiser's weights alone, whatever VAE and text encoders are beside it."""
    return info.files.digest_of_parts(tuple(part for part in info.known.parts if part in NETWORKS))


def check(info: ModelInfo, path: Path) -> None:
    """Insist that a file holds weights that were tuned from this model's.  Raises BrokenModel."""
    header = checked_header(path)
    if header.metadata.get(KIND) != WEIGHTS:
        raise BrokenModel("it is no file that 'save weights' wrote")
    if header.metadata.get(BASE) != network_digest(info):
        raise BrokenModel("its weights were tuned from another network")
    shapes = shapes_of(info)
    if wrong := next(_wrong(header.tensors, shapes[""] if shapes else None), None):
        raise BrokenModel(wrong)


def load(info: ModelInfo, path: Path, shapes: Shapes, device: torch.device, dtype: torch.dtype) -> ModelDelta:
    """The tuning that a file holds, on the device and in the precision of the run.  Raises BrokenModel."""
    from retouch.models.weights import read_as_stored

    check(info, path)
    header = checked_header(path)
    stored = header.tensors
    if wrong := next(_wrong(stored, shapes), None):
        raise BrokenModel(wrong)
    tensors = read_as_stored(path, stored)
    if broken := next((name for name, each in tensors.items() if not each.isfinite().all()), None):
        raise BrokenModel(f"{broken} holds numbers that are not finite")
    return read({name: each.to(device, dtype) for name, each in tensors.items()}, header.metadata)


def with_words(path: Path) -> bool:
    """Whether a file says how prompts name what was learnt.  Raises BrokenModel."""
    header = checked_header(path)
    return has_words(header.tensors, header.metadata)


def _wrong(stored: Mapping[str, Stored], shapes: Shapes | None) -> Iterator[str]:
    """What does not fit: names and, where those of the model are known, shapes."""
    if not stored:
        yield "it holds no tensor"
    for name, each in stored.items():
        own = name.removesuffix(UP).removesuffix(DOWN)
        if each.dtype not in FLOATS:
            yield f"{name} is of the type {each.dtype}"
        if own != name and not (own + UP in stored and own + DOWN in stored):
            yield f"{own} has one half of two"
        elif name == EMBEDS:
            if len(each.shape) != 2:
                yield f"{name} is {list(each.shape)}, and a prompt is [tokens, dim]"
        elif shapes is None:
            continue
        elif own not in shapes:
            yield f"the network has no {own}"
        elif own == name and each.shape != shapes[own]:
            yield f"{name} is {list(each.shape)}, and the network's is {list(shapes[own])}"
        elif name.endswith(UP) and not _multiply(each.shape, stored[own + DOWN].shape, shapes[own]):
            yield f"the halves of {own} do not come to its shape"


def _multiply(up: tuple[int, ...], down: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether [out, r] @ [r, in] has as many rows and columns as the weight, its kernel flattened."""
    columns = 1
    for side in whole[1:]:
        columns *= side
    return len(up) == len(down) == 2 and up[1] == down[0] and (up[0], down[1]) == (whole[0], columns)
