"""A model in one file with its authors' names is its folder, bit for bit: renaming is diffusers', filling is strict."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from retouch.models.catalog import BrokenModel, find
from retouch.models.errors import UnfitBeside
from retouch.run.loaded.loaded_model import Machine
from tests.families import authors_names as authors
from tests.families.single_files import FolderOf, answers, config, machine, stored, whole, without_weights, written
from tests.families.tiny_families import FAMILIES


@pytest.mark.parametrize("name", ["stable_diffusion", "sdxl", "sd3"])
def test_a_single_file_is_its_folder_bit_for_bit(name: str, folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of(name)
    file = written(tmp_path / "x.safetensors", whole(name, folder))
    base = without_weights(folder, tmp_path / "configs")
    one, other = machine(str(folder)), machine(str(file), base=str(base))
    assert all(torch.equal(a, b) for a, b in zip(answers(one), answers(other), strict=True))
    weights = one.denoiser.core.base, other.denoiser.core.base
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.thorough
def test_the_smaller_clip_of_sd3_is_pooled_as_it_is(folder_of: FolderOf, tmp_path: Path) -> None:
    """Its file has no projection for that one, and diffusers' folder has one that changes nothing."""
    folder = shutil.copytree(folder_of("sd3"), tmp_path / "folder")
    state, name = stored(folder, "text_encoder"), "text_projection.weight"
    state[name] = torch.eye(len(state[name]))
    save_file(state, next((folder / "text_encoder").glob("*.safetensors")))
    tensors = whole("sd3", folder)
    del tensors[f"text_encoders.clip_l.transformer.{name}"]
    file, base = written(tmp_path / "x.safetensors", tensors), without_weights(folder, tmp_path / "configs")
    same = answers(machine(str(folder))), answers(machine(str(file), base=str(base)))
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))
    del tensors[f"text_encoders.clip_g.transformer.{name}"]
    written(file, tensors)
    with pytest.raises(BrokenModel, match=f"lacks {name}"):
        _ = machine(str(file), base=str(base)).loaded


def test_what_a_file_lacks_comes_from_its_base(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    tensors = authors.unet(config(folder, "unet"), stored(folder, "unet"))
    file = written(tmp_path / "unet.safetensors", tensors)
    info = find(str(file), base=str(folder))
    assert info.files.weights("unet") == file
    assert info.files.weights("vae") == next((folder / "vae").glob("*.safetensors"))
    assert info.space == find(str(folder)).space
    assert info.digest != find(str(folder)).digest
    same = answers(machine(str(folder))), answers(Machine(info, "cpu", torch.float32))
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))


def test_a_network_in_diffusers_names_is_read_as_well(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("flux_dev")
    file = written(tmp_path / "net.safetensors", stored(folder, "transformer"))
    same = answers(machine(str(folder))), answers(machine(str(file), base=str(folder)))
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))


@pytest.mark.parametrize("kind", ["authors", "bare", "diffusers", "folder", "model"])
def test_a_vae_of_its_own_stands_in(kind: str, folder_of: FolderOf, tmp_path: Path) -> None:
    folder, other = folder_of("stable_diffusion"), tmp_path / "other"
    state = {name: tensor * 1.25 for name, tensor in stored(folder, "vae").items()}
    shutil.copytree(folder, other)
    save_file(state, next((other / "vae").glob("*.safetensors")))
    match kind:
        case "authors":
            vae = written(tmp_path / "v.safetensors", authors.vae(config(folder, "vae"), state))
        case "bare":
            vae = written(tmp_path / "v.safetensors", authors.vae(config(folder, "vae"), state, ""))
        case "diffusers":
            vae = written(tmp_path / "v.safetensors", state)
        case "folder":
            vae = other / "vae"
        case _:
            vae = other
    plain, own = find(str(folder)), find(str(folder), vae=str(vae))
    assert own.space != plain.space
    assert own.digest != plain.digest
    wanted, got = answers(machine(str(other))), answers(Machine(own, "cpu", torch.float32))
    assert all(torch.equal(a, b) for a, b in zip(wanted, got, strict=True))


def test_two_files_with_one_vae_share_latents(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    tensors = whole("stable_diffusion", folder)
    one = written(tmp_path / "one.safetensors", tensors)
    tensors = {key: tensor + key.startswith("model.") for key, tensor in tensors.items()}
    two = written(tmp_path / "two.safetensors", tensors)
    first, second = find(str(one), base=str(folder)), find(str(two), base=str(folder))
    assert first.space == second.space
    assert first.digest != second.digest


def test_a_half_precision_file_runs_as_its_numbers_say(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    file = written(tmp_path / "x.safetensors", {k: t.half() for k, t in whole("stable_diffusion", folder).items()})
    half = machine(str(file), base=str(folder)).denoiser.core.base
    full = machine(str(folder)).denoiser.core.base
    assert all(torch.equal(half[key], full[key].half().float()) for key in full)


BROKEN: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "a tensor is missing": (lambda t: t.pop("model.diffusion_model.out.2.bias"), "lacks conv_out.bias"),
    "a tensor too many": (
        lambda t: t.update({"model.diffusion_model.out.9.weight": torch.ones(7)}),
        "has 7 numbers for its UNet2DConditionModel that the network has not",
    ),
    "another shape": (
        lambda t: t.update({"model.diffusion_model.out.2.bias": torch.ones(9)}),
        "conv_out.bias is 9, and the config says 4",
    ),
    "no number": (
        lambda t: t["first_stage_model.decoder.conv_in.weight"].fill_(torch.nan),
        "decoder.conv_in.weight is not finite",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_filling_is_as_strict_as_from_a_folder(what: str, folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    tensors = {key: tensor.clone() for key, tensor in whole("stable_diffusion", folder).items()}
    BROKEN[what][0](tensors)
    file = written(tmp_path / "x.safetensors", tensors)
    with pytest.raises(BrokenModel, match=BROKEN[what][1]):
        _ = machine(str(file), base=str(folder)).loaded


WHOLE = ("stable_diffusion", "sdxl", "sd3")  # of which the authors have one file of everything


@pytest.mark.parametrize("file", [*WHOLE, "flux_dev", "flux_schnell", "qwen_image", "z_image"])
def test_configs_of_another_family_are_refused_before_anything_loads(
    file: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    """A single file with its authors' names, or a network in diffusers', beside the configs of every other one."""
    folder = folder_of(file)
    tensors = whole(file, folder) if file in WHOLE else stored(folder, "transformer")
    path = written(tmp_path / "x.safetensors", tensors)
    find(str(path), base=str(folder))
    for other in FAMILIES:
        if other != file:
            with pytest.raises(UnfitBeside, match="the config"):
                find(str(path), base=str(folder_of(other)))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_vae_of_another_shape_is_refused_before_anything_loads(
    name: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    """In a file, whose names and shapes are those of another class, and in a folder, whose config says so."""
    own, other = folder_of(name), folder_of("sdxl" if name == "qwen_image" else "qwen_image")
    same = written(tmp_path / "same.safetensors", stored(own, "vae"))
    find(str(own), vae=str(same))
    wrong = written(tmp_path / "wrong.safetensors", stored(other, "vae"))
    with pytest.raises(UnfitBeside, match="the config says"):
        find(str(own), vae=str(wrong))
    with pytest.raises(UnfitBeside, match=r"it is an Autoencoder\w+, and this model decodes by an Autoencoder"):
        find(str(own), vae=str(other))
