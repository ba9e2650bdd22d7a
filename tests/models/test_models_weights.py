"""Weights come whole from one file or from shards, and their bits do not depend on how a file lays them out."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from retouch.models import weights
from retouch.models.catalog import BrokenModel, find
from retouch.models.files.headers import read_header
from retouch.models.files.pickles import convert_line
from tests.e2e.warm import PATIENCE, Warm
from tests.models.mutations import TEXT, UNET, VAE, WEIGHTS, shard
from tests.models.parts import Parts, load
from tests.models.tiny_folder import tensors


def noise_pred(model: Parts) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 16, 16, generator=generator)
    with torch.no_grad():
        return model.unet(x, 10, torch.randn(2, 5, 32, generator=generator)).sample


@pytest.mark.parametrize("longer", [1, 8, 13, 40, 64])
def test_longer_metadata_changes_no_bit(saved: Path, folder: Path, longer: int) -> None:
    """Mapped tensors would lie elsewhere then, and kernels would round in another order."""
    for name in WEIGHTS:
        save_file(load_file(folder / name), folder / name, metadata={"format": "pt", "note": "x" * longer})
    ours, again = load(find(str(saved))), load(find(str(folder)))
    assert torch.equal(noise_pred(ours), noise_pred(again))
    pictures = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours.codec.encode(pictures), again.codec.encode(pictures))


def test_every_tensor_lies_in_memory_of_its_own(saved: Path) -> None:
    parameters = [*load(find(str(saved))).unet.parameters()]
    assert len({p.untyped_storage().data_ptr() for p in parameters}) == len(parameters)
    assert all(p.data_ptr() % 64 == 0 for p in parameters)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("count", [1, 3])
def test_shards_give_the_bits_of_one_file(saved: Path, folder: Path, name: str, count: int) -> None:
    shard(folder, name, count)
    ours, whole = load(find(str(folder))), load(find(str(saved)))
    for part in ("unet", "vae", "text_encoder"):
        found, expected = getattr(ours, part).state_dict(), getattr(whole, part).state_dict()
        assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_shards_of_another_training_are_another_model(folder: Path) -> None:
    where = shard(folder)
    before = find(str(folder)).digest
    with tensors(folder / "unet" / sorted(where.values())[-1]) as last:
        last.update({name: tensor + 0.01 for name, tensor in last.items()})
    assert find(str(folder)).digest != before


@pytest.mark.parametrize("variant", ["fp16", "bf16"])
def test_variants_load_whole_and_in_shards(folder: Path, variant: str) -> None:
    whole = noise_pred(load(find(str(folder))))
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[variant]
    for name in WEIGHTS:
        save_file({key: tensor.to(dtype) for key, tensor in load_file(folder / name).items()}, folder / name)
    for name in (VAE, TEXT):
        (folder / name).rename((folder / name).with_suffix(f".{variant}.safetensors"))
    shard(folder)
    (folder / f"{UNET}.index.json").rename(folder / f"{UNET}.index.{variant}.json")
    torch.testing.assert_close(noise_pred(load(find(str(folder)))), whole, atol=5e-2, rtol=0)


def test_the_fullest_precision_is_taken(folder: Path) -> None:
    expected = find(str(folder)).digest
    half = {key: tensor.half() for key, tensor in load_file(folder / UNET).items()}
    save_file(half, (folder / UNET).with_suffix(".fp16.safetensors"))
    assert find(str(folder)).digest == expected


def test_numbers_too_large_for_half_precision_are_told(folder: Path) -> None:
    with tensors(folder / UNET) as unet:
        unet["conv_in.bias"][0] = 1e6
    load(find(str(folder)))
    with pytest.raises(BrokenModel, match=r"conv_in.bias has numbers too large for float16"):
        load(find(str(folder)), dtype=torch.float16)


@pytest.mark.parametrize("stored", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float64, torch.bfloat16])
def test_every_type_of_fractions_is_read(tmp_path: Path, stored: torch.dtype) -> None:
    given = {"weight": torch.randn(3, 4).to(stored), "bias": torch.randn(3).to(stored)}
    save_file(given, tmp_path / "a.safetensors")
    bare = torch.nn.Linear(4, 3, device="meta")
    layer = weights.fill(bare, tmp_path / "a.safetensors", torch.device("cpu"), torch.float32)
    assert torch.equal(layer.weight, given["weight"].float())
    assert torch.equal(layer.bias, given["bias"].float())


def test_a_header_says_what_the_library_reads(saved: Path) -> None:
    for name in WEIGHTS:
        header = read_header(saved / name).tensors
        read = load_file(saved / name)
        assert {key: stored.shape for key, stored in header.items()} == {key: tuple(t.shape) for key, t in read.items()}


def converted(line: str, folder: Path) -> None:
    """Run a line that starts `python -c`."""
    _, _, code, *args = shlex.split(line)
    with Warm(code, *args, folder=folder) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.bin", "text_encoder/pytorch_model.bin"])
def test_the_line_that_a_refusal_gives_converts(saved: Path, folder: Path, name: str) -> None:
    part = UNET if name.startswith("unet") else TEXT
    content = load_file(folder / part)
    (folder / part).unlink()
    torch.save(content, folder / name)
    with pytest.raises(BrokenModel, match="is a pickle, which can run code; convert it: python -c") as refused:
        find(str(folder))
    line = str(refused.value).partition("convert it: ")[2]
    assert line == convert_line(folder / name)
    converted(line, folder)
    assert find(str(folder)).channels == 4
    assert load_file(folder / part).keys() == content.keys()


def test_a_checkpoint_of_a_trainer_is_converted_too(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "global_step": 3}, tmp_path / "x.ckpt")
    converted(convert_line(tmp_path / "x.ckpt"), tmp_path)
    assert [*load_file(tmp_path / "x.safetensors")] == ["a"]


def test_an_index_of_the_libraries_own_is_read(folder: Path, oracle) -> None:
    shutil.rmtree(folder / "unet")
    oracle.unet.save_pretrained(folder / "unet", max_shard_size="100KB")
    assert len({*json.loads((folder / f"{UNET}.index.json").read_text())["weight_map"].values()}) > 1
    assert find(str(folder)).channels == 4
    assert load(find(str(folder))).unet.state_dict().keys() == oracle.unet.state_dict().keys()


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    """Headers are kept by what they say, not by where they lie: other names, or a cut, of the same length are seen."""
    path = tmp_path / "a.safetensors"
    save_file({"left": torch.zeros(2)}, path)
    first = read_header(path)
    save_file({"next": torch.zeros(2)}, path)
    assert (list(first.tensors), list(read_header(path).tensors)) == (["left"], ["next"])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BrokenModel, match="cut off"):
        read_header(path)
