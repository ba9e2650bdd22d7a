"""What a tuning of low rank is as a LoRA file, in the key format of diffusers and peft.  Hu et al. 2021.

Under the folder of the network and the path of a layer stand "lora_A" [r, in] and "lora_B" [out, r], of convolutions
with their kernel and with one of a single cell.  How strongly they act is in "lora_B": read with no alpha, at weight 1,
a layer gives what it gave while it learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from retouch.core.denoiser import Denoiser


def lora_tensors(model: Denoiser) -> dict[str, Tensor]:
    """The LoRA that a tuning made of a model; what other LoRA files add is no part of it.

    Raises ValueError where weights were moved as they are, or none at all.
    """
    delta = model.delta
    if delta.weights or not delta.low_rank:
        raise ValueError("a LoRA is of low rank, and this tuning " + ("is not" if delta.weights else "is none"))
    made: dict[str, Tensor] = {}
    for name, (up, down) in delta.low_rank.items():
        layer, kernel = f"{model.part}.{name.removesuffix('.weight')}", model.core.base[name].shape[2:]
        into = down.reshape(len(down), -1, *kernel) if kernel else down
        out = up.reshape(*up.shape, *[1] * len(kernel)) if kernel else up
        made |= {f"{layer}.lora_A.weight": into, f"{layer}.lora_B.weight": out}
    return {name: each.detach().cpu().contiguous() for name, each in made.items()}
