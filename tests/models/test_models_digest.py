"""A fingerprint tells models apart by any one of their tensors, and reads little of a large file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from retouch.models.catalog import find
from retouch.models.files import digest
from retouch.models.files.digest import fingerprint
from retouch.models.network.acceleration import EAGER
from retouch.run.loaded.model_cache import KeptMachines


def model(path: Path, trained: int | None = None, layers: int = 40) -> Path:
    """A file of layers; one of them trained further."""
    drawn = torch.Generator().manual_seed(0)
    tensors = {f"layer.{i}.weight": torch.randn(64, 64, generator=drawn) for i in range(layers)}
    if trained is not None:
        tensors[f"layer.{trained}.weight"] += 0.01
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("whole", [2**24, 0], ids=["read whole", "read at its tensors"])
def test_one_layer_that_was_trained_makes_another_model(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(digest, "_WHOLE", whole)
    base = model(tmp_path / "base.safetensors")
    found = {fingerprint([model(tmp_path / "tuned.safetensors", i)]) for i in range(40)}
    assert len(found | {fingerprint([base])}) == 41
    assert fingerprint([model(tmp_path / "copy.safetensors")]) == fingerprint([base])


def test_a_large_file_is_read_at_both_ends_of_its_tensors(tmp_path, monkeypatch):
    monkeypatch.setattr(digest, "_WHOLE", 0)
    path = tmp_path / "large.safetensors"
    save_file({"a": torch.zeros(2**20), "b": torch.zeros(2**20)}, path)
    with path.open("rb") as file:
        read = sum(end - begin for begin, end in digest._ends(file, path.stat().st_size))
    assert read < 20_000


def test_a_file_without_a_header_has_a_fingerprint_too(tmp_path, monkeypatch):
    monkeypatch.setattr(digest, "_WHOLE", 0)
    path = tmp_path / "broken.safetensors"
    for text in (b"", b"x", b"no header at all" * 1000):
        path.write_bytes(text)
        assert len(fingerprint([path])) == 32


@pytest.mark.parametrize(
    ("config", "change"),
    [
        ("scheduler/scheduler_config.json", {"beta_end": 0.03}),
        ("unet/config.json", {"freq_shift": 1}),
        ("vae/config.json", {"scaling_factor": 0.25}),
    ],
)
def test_the_same_weights_under_another_config_are_another_model(folder: Path, config: str, change: dict) -> None:
    """One stood in for the other, in memory and in the store: a walk of the one went on with what the other says."""
    before = find(str(folder))
    said = json.loads((folder / config).read_text())
    assert said != said | change
    (folder / config).write_text(json.dumps(said | change))
    after = find(str(folder))
    assert after.weights == before.weights
    assert after.digest != before.digest
    kept = KeptMachines()
    one, other = (kept(info, "cpu", torch.float32, EAGER) for info in (before, after))
    assert one is not other


def test_who_wrote_a_config_makes_no_other_model(folder: Path) -> None:
    before = find(str(folder)).digest
    said = json.loads((folder / "unet/config.json").read_text())
    (folder / "unet/config.json").write_text(json.dumps(said | {"_diffusers_version": "9.9"}, indent=8))
    assert find(str(folder)).digest == before


def test_other_words_are_another_model(folder: Path) -> None:
    before = find(str(folder)).digest
    words = folder / "tokenizer" / "tokenizer.json"
    words.write_text(words.read_text() + "\n")
    assert find(str(folder)).digest != before


def test_a_shipped_model_is_known_by_its_weights() -> None:
    """As in all stamps of older versions; its configs go with the version of its package."""
    assert (found := find("storybook")).digest == found.weights
    assert find(str(found.folder)).digest != found.weights == find(str(found.folder)).weights
