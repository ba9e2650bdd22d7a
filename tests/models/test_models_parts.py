"""Codec and text encoder give what diffusers' pipeline gives."""

from __future__ import annotations

import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import example, given
from hypothesis import strategies as st

from retouch.models.catalog import ModelInfo, find
from retouch.models.kit.encoders import Encoder
from retouch.models.prompts.tokens import PromptReading, PromptTokenizer
from tests.models.parts import Parts, load
from tests.models.tiny_folder import tokenizer

PROMPTS = ["", "a cat", "A  Red\tCat, in the snow!", "a café ☕", "word " * 40, "x" * 40]


@pytest.fixture(scope="module")
def loaded(saved) -> Parts:
    return load(find(str(saved)))


def embeds(text: Encoder, prompt: str) -> torch.Tensor:
    with torch.no_grad():
        return text.batch(torch.tensor([[text.words.tokenize(prompt).ids, [1] * text.words.reading.length]]))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_embeddings_are_those_of_the_pipeline(loaded: Parts, oracle: StableDiffusionPipeline, prompt: str) -> None:
    with torch.no_grad():
        theirs, _ = oracle.encode_prompt(prompt, "cpu", 1, False)
    assert torch.equal(embeds(loaded.text, prompt), theirs)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_embeddings_of_the_storybook_are_those_of_the_pipeline(storybook: ModelInfo, prompt: str) -> None:
    theirs = StableDiffusionPipeline.from_pretrained(storybook.folder, dtype=torch.float32, local_files_only=True)
    with torch.no_grad():
        expected, _ = theirs.encode_prompt(prompt, "cpu", 1, False)
    assert torch.equal(embeds(load(storybook).text, prompt), expected)


@pytest.mark.parametrize("length", [24, 77])
@given(prompt=st.text(max_size=120))
@example("0000\x80\x80\x80𐀀𐀀𐀀\x1f")  # cut before a last token that Python takes for a blank and CLIP does not
def test_tokens_are_those_of_the_tokenizer(length: int, prompt: str) -> None:
    words = tokenizer(length)
    tokens = PromptTokenizer(words, PromptReading(length)).tokenize(prompt)
    assert list(tokens.ids) == words(prompt, padding="max_length", max_length=length, truncation=True)["input_ids"]
    assert len(tokens.ids) == len(tokens.spans) == len(tokens.pieces) == length


@given(prompt=st.text("abc ,!", max_size=60))
def test_pieces_and_what_is_dropped_make_up_the_prompt(prompt: str) -> None:
    tokens = PromptTokenizer(tokenizer(24), PromptReading(24)).tokenize(prompt)
    read, left = "".join(tokens.pieces), "".join(tokens.dropped.split())
    assert "".join(prompt.split()) == read[: len("".join(prompt.split())) - len(left)] + left  # a cut word is in both
    before = prompt.rstrip()[: len(prompt.rstrip()) - len(tokens.dropped)]
    assert not (before[-1:].isalnum() and left[:1].isalnum()), "what is not read begins with a word"
    assert bool(tokens.dropped) == (len("".join(prompt.split())) > 22)


def test_what_does_not_fit_is_said(loaded: Parts) -> None:
    assert loaded.text.words.tokenize("a big cat on a green hill in the snow").dropped == "the snow"
    assert loaded.text.words.tokenize("a big cat").dropped == ""


def test_pictures_and_latents_are_scaled_as_diffusers_does(loaded: Parts, oracle: StableDiffusionPipeline) -> None:
    pictures = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = loaded.codec.encode(pictures)
        mean = oracle.vae.encode(pictures * 2 - 1).latent_dist.mode()
        decoded = loaded.codec.decode(latents)
        theirs = oracle.image_processor.postprocess(oracle.vae.decode(mean).sample, "pt")
    assert latents.shape == (2, 4, 8, 12)
    torch.testing.assert_close(latents, (mean - 0.25) * 0.5)
    torch.testing.assert_close(decoded, theirs, atol=1e-5, rtol=0)
    assert decoded.min() >= 0
    assert decoded.max() <= 1


@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_padding_goes_up_to_the_next_multiple(loaded: Parts, height: int, width: int) -> None:
    for side, padded in zip((height, width), loaded.codec.padded(height, width), strict=True):
        assert padded % 8 == 0
        assert 0 <= padded - side < 8


def test_gradients_go_through_the_codec(loaded: Parts) -> None:
    latents = torch.zeros(1, 4, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(loaded.codec.decode(latents).sum(), latents)
    assert gradient.abs().sum() > 0
