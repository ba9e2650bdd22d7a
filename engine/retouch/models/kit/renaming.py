"""Parts of single files under the names that diffusers gives them.  The renaming is diffusers' own.

Its table of public single-file classes says which function renames for which class; text encoders of CLIP have a
function by themselves.  What it makes is held to the module name by name and shape by shape when it is filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from retouch.models.errors import BrokenModel
from retouch.models.family import Names
from retouch.models.files.model_files import InOneFile

_OPEN_CLIP = "transformer.resblocks."
_SMALLER_CLIP, _PROJECTION = "text_encoders.clip_l.transformer.", "text_projection.weight"


def renamed(
    module: Any,
    kind: str,
    part: InOneFile,
    state: dict[str, Tensor],
    config: Mapping[str, Any],
    names: Names | None = None,
) -> Any:
    """Return the tensors of one part by the module's names; those that it has already stay as they are.

    state: by the names of the file.
    names: the family's own renaming, where diffusers has none.
    """
    bare = {name.removeprefix(part.prefix): tensor for name, tensor in state.items()}
    if len(bare.keys() & module.state_dict().keys()) > len(bare) // 2:  # some names are the same in both
        return bare | _unprojected(module, part, bare)
    if any(name.startswith(_OPEN_CLIP) for name in bare):
        # OpenCLIP keeps queries, keys and values in one tensor, and has layers that some models leave out.
        from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

        made = convert_open_clip_checkpoint(module, state, part.prefix)
        wanted = module.state_dict()
        fits = {
            *wanted,
            *(name.removeprefix("text_model.") for name in wanted),
            *(f"text_model.{name}" for name in wanted),
        }
        return {name: tensor for name, tensor in made.items() if name in fits}
    rename = names or _by_diffusers(kind)
    if rename is None:
        return bare
    before = sum(tensor.numel() for tensor in bare.values())
    try:
        made = rename(bare, config)
    except (KeyError, IndexError, ValueError, RuntimeError) as why:
        raise BrokenModel(f"'{part.file}' is not laid out as a {kind}: it lacks {why}") from None
    if (after := sum(tensor.numel() for tensor in made.values())) < before:
        raise BrokenModel(f"'{part.file}' has {before - after:,} numbers for its {kind} that the network has not")
    return made


_LDM_PREFIX = {"UNet2DConditionModel": "model.diffusion_model.", "AutoencoderKL": "first_stage_model."}


def _by_diffusers(kind: str) -> Names | None:
    """Diffusers' renaming for a class, if it has one."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    said, prefix = SINGLE_FILE_LOADABLE_CLASSES.get(kind), _LDM_PREFIX.get(kind, "")
    if said is None:
        return None
    function: Any = said["checkpoint_mapping_fn"]

    def rename(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        return function({f"{prefix}{name}": tensor for name, tensor in tensors.items()}, config=dict(config))

    return rename


def _unprojected(module: Any, part: InOneFile, bare: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The projection that changes nothing, where files of SD3 keep none: the smaller CLIP is pooled as it is."""
    wanted = module.state_dict().get(_PROJECTION)
    if part.prefix != _SMALLER_CLIP or wanted is None or _PROJECTION in bare or not bare:
        return {}
    like = next(iter(bare.values()))
    return {_PROJECTION: torch.eye(*wanted.shape, dtype=like.dtype, device=like.device)}
