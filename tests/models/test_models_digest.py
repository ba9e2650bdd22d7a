"""A fingerprint tells models apart by any one of their tensors, and reads little of a large file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from retouch.models.files import digest
from retouch.models.files.digest import fingerprint


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
