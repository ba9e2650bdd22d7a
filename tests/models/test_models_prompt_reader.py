"""What a model reads of a prompt, told from its vocabularies alone: the same as the loaded encoders say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer, Qwen2Tokenizer

from retouch.models import catalog
from retouch.models.errors import BrokenModel
from retouch.models.kit.templates import qwen_chat
from retouch.models.prompts.prompt_reader import PromptReader, prompt_reader
from retouch.models.prompts.tokens import PromptReading, PromptTokenizer, heard
from tests.families.tiny_parts import qwen_words

SHIPPED = catalog.find("storybook", None)
PLACE = SHIPPED.files.folder("tokenizer")
READ = SHIPPED.known.reads["tokenizer"]
CHAT = qwen_chat(most=64, thinks=False)
PARTS = st.sampled_from(
    [
        "a",
        "cat",
        "Beach",
        " ",
        "  ",
        "\n",
        "isn't",
        "-",
        "12",
        "é",
        "é",
        "猫",
        "🐱",
        "ﷺ",
        "<|endoftext|>",
        ",",
        "_",
        "<think>",
        "\r\n",
    ]
)


class Both(NamedTuple):
    """Who tells without loading anything, and the tokenizer that a run loads."""

    light: PromptReader
    loaded: PromptTokenizer


@pytest.fixture(scope="module", params=["tokenizer.json", "vocab.json and merges.txt"])
def clip(request, tmp_path_factory) -> Both:
    """The shipped vocabulary, as it is and as older folders have theirs."""
    loaded = PromptTokenizer(CLIPTokenizer.from_pretrained(PLACE, local_files_only=True), READ)
    if request.param == "tokenizer.json":
        return Both(prompt_reader(SHIPPED), loaded)
    return Both(PromptReader({in_pairs(PLACE, tmp_path_factory.mktemp("old")): READ}), loaded)


@pytest.fixture(scope="module", params=["tokenizer.json", "vocab.json and merges.txt"])
def qwen(request, tmp_path_factory) -> Both:
    """A language model's, which is told a prompt in a chat: Z-Image's folder has one form, Qwen-Image's the other."""
    qwen_words(thinks=True).save_pretrained(place := tmp_path_factory.mktemp("qwen"))
    loaded = PromptTokenizer.of(Qwen2Tokenizer.from_pretrained(place, local_files_only=True), CHAT)
    if request.param != "tokenizer.json":
        old = in_pairs(place, tmp_path_factory.mktemp("old"))
        shutil.copy(place / "tokenizer_config.json", old)
        marks = json.loads((place / "tokenizer.json").read_text())["added_tokens"]
        settings = json.loads((old / "tokenizer_config.json").read_text())
        added = {"added_tokens_decoder": {str(mark.pop("id")): mark for mark in marks}}
        (old / "tokenizer_config.json").write_text(json.dumps(settings | added))
        loaded = PromptTokenizer.of(Qwen2Tokenizer.from_pretrained(old, local_files_only=True), CHAT)
        place = old
    return Both(PromptReader({place: CHAT}), loaded)


def in_pairs(place: Path, to: Path) -> Path:
    """A vocabulary in two files."""
    words = json.loads((place / "tokenizer.json").read_text())["model"]
    (to / "vocab.json").write_text(json.dumps(words["vocab"]))
    merges = [each if isinstance(each, str) else " ".join(each) for each in words["merges"]]
    (to / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    return to


TEXTS = st.lists(PARTS, max_size=40).map("".join) | st.text(max_size=60)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_it_says_what_the_loaded_tokenizer_says(clip, text):
    same(clip, text)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_behind_a_template_too(qwen, text):
    same(qwen, text)


def same(both: Both, text: str) -> None:
    """Both read the same tokens, and leave out the same words."""
    light, full = both.light.heard(text), heard(text, [both.loaded])
    assert (light.ids[: light.real], light.spans, light.pieces) == (full.ids[: full.real], full.spans, full.pieces)
    assert (light.dropped, light.real, light.read) == (full.dropped, full.real, full.read)
    assert not (both.light.reads_whole(text) and light.dropped)


def test_a_text_that_must_fit_asks_no_vocabulary(tmp_path):
    reader = PromptReader({tmp_path / "nowhere": PromptReading(77)})
    assert reader.reads_whole("a cat in a meadow")
    assert not reader.reads_whole("a" * 76)
    assert not reader.reads_whole("é")


@pytest.mark.parametrize("files", [{"tokenizer.json": "{}"}, {"vocab.json": '{"a": 0}', "merges.txt": "a b c\n"}])
def test_a_broken_vocabulary_is_a_broken_model(tmp_path: Path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BrokenModel, match="cannot be read"):
        PromptReader({tmp_path: PromptReading(77)}).heard("a cat")


def test_a_vocabulary_that_is_made_anew_is_read_anew(tmp_path: Path):
    """With a pair that it did not have, two letters become one token."""
    whole = {"a": 0, "b</w>": 1, "ab</w>": 2, "<|startoftext|>": 8, "<|endoftext|>": 9}
    read: list[int] = []
    for words, pairs in (({**whole, "ab</w>": 7}, ""), (whole, "a b</w>\n")):
        (tmp_path / "vocab.json").write_text(json.dumps(words))
        (tmp_path / "merges.txt").write_text(pairs)
        read.append(PromptReader({tmp_path: PromptReading(77)}).heard("ab").read)
    assert read == [2, 1]
