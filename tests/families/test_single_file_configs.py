"""The configs that ship for single files: networks, names and shapes at full size, on no memory."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from retouch.models.catalog import BrokenModel
from retouch.models.files.landmarks import check_landmarks
from retouch.models.files.model_files import InOneFile, ModelFiles
from retouch.models.kit.loading import _configured
from retouch.models.kit.renaming import renamed
from retouch.models.single_file import shipped
from tests.families import authors_names as authors
from tests.families.single_files import config

_ENDS = {"input_blocks.0.0.weight": (320, 4, 3, 3), "out.2.weight": (4, 320, 3, 3)}
PUBLISHED: dict[str, dict[str, tuple[int, ...]]] = {
    "sd1": _ENDS | {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768)},
    "sd2-noise": _ENDS | {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024)},
    "sdxl": _ENDS
    | {"input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048), "label_emb.0.0.weight": (1280, 2816)},
}


@pytest.mark.parametrize("kind", [*PUBLISHED, "sd3-medium", "sd3.5-medium", "sd3.5-large", "flux-dev", "flux-schnell"])
def test_a_file_of_full_size_fits_the_configs_that_ship_for_it_and_no_others(kind: str, tmp_path: Path) -> None:
    """By its header: the numbers are a hole in the file."""
    part = "unet" if kind in PUBLISHED else "transformer"
    said = config(shipped()[kind], part)
    shapes = PUBLISHED.get(kind) or (authors.flux if kind.startswith("flux") else authors.sd3_shapes)(said)
    path = hollow(tmp_path / "x.safetensors", {f"model.diffusion_model.{name}": each for name, each in shapes.items()})

    def fits(other: Path) -> None:
        check_landmarks(ModelFiles(path, other, {part: InOneFile(path, "model.diffusion_model.")}), part)

    fits(shipped()[kind])
    alike = {kind, *(("sd2-noise", "sd2-velocity") if kind == "sd2-noise" else ())}
    for name, other in shipped().items():
        if name not in alike and (other / part).is_dir() and not name.startswith("guided"):
            with pytest.raises(BrokenModel):
                fits(other)


def hollow(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """A file with this header, whose numbers take no place on the disk."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": (at, at + size)}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return path


@pytest.mark.parametrize("kind", ["flux-dev", "flux-schnell"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_names_and_shapes_of_flux_at_full_size(kind: str, prefix: str) -> None:
    from diffusers import FluxTransformer2DModel

    said = json.loads((shipped()[kind] / "transformer/config.json").read_text())
    with torch.device("meta"):
        module = FluxTransformer2DModel(**{key: value for key, value in said.items() if not key.startswith("_")})
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    state = {prefix + name: torch.empty(shape, device="meta") for name, shape in authors.flux(said).items()}
    made = renamed(module, "FluxTransformer2DModel", InOneFile(Path("x.safetensors"), prefix), state, said)
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == wanted


@pytest.mark.parametrize("kind", ["sd3-medium", "sd3.5-medium", "sd3.5-large"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_names_and_shapes_of_sd3_at_full_size(kind: str, prefix: str) -> None:
    from diffusers import SD3Transformer2DModel

    said = json.loads((shipped()[kind] / "transformer/config.json").read_text())
    with torch.device("meta"):
        module = SD3Transformer2DModel(**{key: value for key, value in said.items() if not key.startswith("_")})
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    state = {prefix + name: torch.empty(shape, device="meta") for name, shape in authors.sd3_shapes(said).items()}
    made = renamed(module, "SD3Transformer2DModel", InOneFile(Path("x.safetensors"), prefix), state, said)
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == wanted


@pytest.mark.parametrize("kind", ["sd3-medium", "sd3.5-medium", "sd3.5-large", "flux-dev", "flux-schnell"])
def test_texts_of_shipped_configs_are_as_large_as_published(kind: str) -> None:
    """CLIP's two with their projections and T5's encoder, whose table of words counts once."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

    millions = {"768": 123.65, "1280": 694.66, "4096": 4762.31}
    for folder in shipped()[kind].glob("text_encoder*"):
        said = json.loads((folder / "config.json").read_text())
        t5 = said["model_type"] == "t5"
        build, kind_of_config = (T5EncoderModel, T5Config) if t5 else (CLIPTextModelWithProjection, CLIPTextConfig)
        with torch.device("meta"):
            module = build(_configured(kind_of_config, said))
        count = sum(parameter.numel() for parameter in module.parameters()) / 1e6
        assert count == pytest.approx(millions[str(said["d_model" if t5 else "hidden_size"])], rel=1e-3), folder


@pytest.mark.thorough
def test_shipped_configs_make_the_networks_of_their_kinds() -> None:
    """Names and shapes at full size, on no memory; counts as the published files have them."""
    from diffusers import SD3Transformer2DModel, UNet2DConditionModel

    billions = {"sd1": 0.8595, "sd2-noise": 0.8659, "sd2-velocity": 0.8659, "sdxl": 2.5675, "sd3-medium": 2.085}
    billions |= {"sd3.5-medium": 2.47, "sd3.5-large": 8.1}
    for kind, wanted in billions.items():
        part, cls = ("transformer", SD3Transformer2DModel) if "sd3" in kind else ("unet", UNet2DConditionModel)
        said = json.loads((shipped()[kind] / part / "config.json").read_text())
        with torch.device("meta"):
            module = cls(**{key: value for key, value in said.items() if not key.startswith("_")})
        count = sum(tensor.numel() for tensor in module.state_dict().values()) / 1e9
        assert count == pytest.approx(wanted, rel=0.02), kind
