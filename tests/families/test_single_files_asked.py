"""What a single file lacks is asked for, and what cannot be read says why."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from retouch.models.catalog import BrokenModel, UnknownModel, find
from retouch.models.single_file import model_in
from tests.families.single_files import FLUX, LORA, SD1, SD2, TEXT, VAE, FolderOf, M, empty

ASKED: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "no vocabulary": (
        SD1 | VAE | TEXT,
        r"has no vocabulary \(tokenizer\); name a model that has one: base=\"owner/name\"",
    ),
    "no vae": (SD1 | TEXT, 'has no vae; name a model that has one: base="owner/name", or its folder, or vae="file'),
    "no text encoder": (SD1 | VAE, "has no text_encoder; name a model"),
    "what it predicts": (SD2 | VAE | TEXT, 'write base="sd2-velocity"'),
    "flux alone": (FLUX, "has no vae; name a model"),
    "an unknown kind": ({"a": (3,)}, "is of no kind that is known here; name a model of its kind: base="),
    "a lora": (LORA, r'is a LoRA for Stable Diffusion 1, and no model; write it beside one: model "…" lora='),
    "a kind without a family": (FLUX | {f"{M}img_in.weight": (4, 384)}, "FLUX.1 Fill, and no configs ship"),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_is_missing_is_asked_for_in_words(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retouch.models.prompts.clip_vocabulary.PACKAGES", ())
    with pytest.raises(BrokenModel, match=ASKED[what][1]):
        find(str(empty(tmp_path / "x.safetensors", ASKED[what][0])))


def test_vocabulary_of_a_package_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenAI's packages have it: a heading, then merges; the ids that CLIP gives follow."""
    from transformers import CLIPTokenizer

    from retouch.models.prompts.clip_vocabulary import FILE, WORDS, read_vocabulary

    merges = ["c a", "ca t</w>", "d o", "do g</w>"]
    seen = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    merges += [f"{one} {other}" for one in seen for other in seen if f"{one} {other}" not in merges]
    merges = merges[: 49152 - 256 - 2]
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/__init__.py").write_text("raise RuntimeError('a package that is only read')")
    (tmp_path / "clip" / FILE).write_bytes(gzip.compress("\n".join(['"bpe"', *merges, "left over"]).encode()))
    monkeypatch.syspath_prepend(tmp_path)
    files = model_in(empty(tmp_path / "x.safetensors", SD1 | VAE | TEXT), None)
    words, pairs = read_vocabulary(files.folder("tokenizer"))
    assert len(words) == WORDS
    assert (words["!"], words["!</w>"], words["<|endoftext|>"]) == (0, 256, 49407)
    ids = CLIPTokenizer(words, pairs)("cat dog")["input_ids"]
    assert ids == [49406, words["cat</w>"], words["dog</w>"], 49407]


def test_a_base_beside_a_folder_is_refused(folder_of: FolderOf) -> None:
    folder = str(folder_of("stable_diffusion"))
    with pytest.raises(BrokenModel, match="goes with a single file"):
        find(folder, base=folder)
    with pytest.raises(BrokenModel, match="there is no VAE"):
        find(folder, vae="nowhere.safetensors")


@pytest.mark.parametrize("name", ["x.ckpt", "x.gguf", "none.safetensors"])
def test_a_file_that_is_not_read_says_why(name: str, tmp_path: Path) -> None:
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises((BrokenModel, UnknownModel), match=r"convert it|GGUF|there is no file"):
        find(str(tmp_path / name))
