"""What a model reads of a prompt, told from its vocabularies alone: the same as the loaded encoders say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from retouch.models import catalog
from retouch.models.errors import BrokenModel
from retouch.models.prompt_reader import PromptReader, prompt_reader
from retouch.models.tokens import PromptTokenizer, heard

SHIPPED = catalog.find("storybook", None)
PLACE = SHIPPED.files.folder("tokenizer")
LENGTH = SHIPPED.known.reads["tokenizer"]
LOADED = PromptTokenizer(CLIPTokenizer.from_pretrained(PLACE, local_files_only=True), LENGTH)
PARTS = st.sampled_from(
    ["a", "cat", "Beach", " ", "  ", "\n", "isn't", "-", "12", "é", "é", "猫", "🐱", "ﷺ", "<|endoftext|>", ",", "_"]
)


@pytest.fixture(scope="module", params=["tokenizer.json", "vocab.json and merges.txt"])
def reader(request, tmp_path_factory) -> PromptReader:
    """Of the shipped vocabulary, as it is and as older folders have theirs."""
    if request.param == "tokenizer.json":
        return prompt_reader(SHIPPED)
    place = tmp_path_factory.mktemp("old")
    words = json.loads((PLACE / "tokenizer.json").read_text())["model"]
    (place / "vocab.json").write_text(json.dumps(words["vocab"]))
    merges = [each if isinstance(each, str) else " ".join(each) for each in words["merges"]]
    (place / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    return PromptReader({place: LENGTH})


@settings(max_examples=300, deadline=None)
@given(text=st.lists(PARTS, max_size=40).map("".join) | st.text(max_size=60))
def test_it_says_what_the_loaded_tokenizer_says(reader, text):
    light, full = reader.heard(text), heard(text, [LOADED])
    assert (light.ids[: light.real], light.spans, light.pieces) == (full.ids[: full.real], full.spans, full.pieces)
    assert (light.dropped, light.real, light.read) == (full.dropped, full.real, full.read)
    assert not (reader.reads_whole(text) and light.dropped)


def test_a_text_that_must_fit_asks_no_vocabulary(tmp_path):
    reader = PromptReader({tmp_path / "nowhere": 77})
    assert reader.reads_whole("a cat in a meadow")
    assert not reader.reads_whole("a" * 76)
    assert not reader.reads_whole("é")


@pytest.mark.parametrize("files", [{"tokenizer.json": "{}"}, {"vocab.json": '{"a": 0}', "merges.txt": "a b c\n"}])
def test_a_broken_vocabulary_is_a_broken_model(tmp_path: Path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BrokenModel, match="cannot be read"):
        PromptReader({tmp_path: 77}).heard("a cat")


def test_a_vocabulary_that_is_made_anew_is_read_anew(tmp_path: Path):
    """With a pair that it did not have, two letters become one token."""
    whole = {"a": 0, "b</w>": 1, "ab</w>": 2, "<|startoftext|>": 8, "<|endoftext|>": 9}
    read: list[int] = []
    for words, pairs in (({**whole, "ab</w>": 7}, ""), (whole, "a b</w>\n")):
        (tmp_path / "vocab.json").write_text(json.dumps(words))
        (tmp_path / "merges.txt").write_text(pairs)
        read.append(PromptReader({tmp_path: 77}).heard("ab").read)
    assert read == [2, 1]
