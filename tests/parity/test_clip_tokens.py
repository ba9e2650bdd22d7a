"""Alignment over CLIP's own tokens: the authors compare ids, and a word is another token than its letters in another.

`clip_merges.txt` is a cut of CLIP's vocabulary (bpe_simple_vocab_16e6, MIT): the merges that these prompts take, each
with its rank, so that every token here has the id that CLIP gives it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from retouch.core.values import Edit, Prompt
from retouch.models.catalog import find
from retouch.models.prompts.tokens import PromptReading, PromptTokenizer
from retouch.run.executor import run
from retouch.run.loaded.loaded_model import Machine
from retouch_methods.attend.alignment import alignment
from retouch_methods.blend import local

START, END, LENGTH = 49406, 49407, 77
PAIRS = [
    ("a cat", "a catlike statue"),  # "cat" ends a word, and begins one
    ("a dog in the snow", "a dogsled in the snow"),
    ("a bear in the rain", "a bear under rainclouds"),
    ("a catlike statue", "a cat"),
    ("a sunlit porch", "a sunporch, sunlit"),
    ("a birdlike bird on a tree", "a bird in a treetop"),
    ("a photo of a cat riding a bicycle", "a photo of a dog riding a bicycle"),
    ("a cake with decorations", "a square cake with blue decorations"),
    ("a cat and a cat", "a cat and a cat and a cat"),
    ("a cat sitting next to a mirror in a quiet room", "a cat"),
    ("a house at fall", "a watercolor painting of a house at fall"),
]


def tokenizer() -> CLIPTokenizer:
    """CLIP's, with the merges of these prompts alone."""
    ranked = [line.split() for line in Path(__file__).with_name("clip_merges.txt").read_text("utf-8").splitlines()]
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    vocab = {letter: i for i, letter in enumerate(letters)}
    vocab |= {f"{letter}</w>": 256 + i for i, letter in enumerate(letters)}
    vocab |= {left + right: 512 + int(rank) for rank, left, right in ranked}
    vocab |= {"<|startoftext|>": START, "<|endoftext|>": END}
    return CLIPTokenizer(vocab=vocab, merges=[(a, b) for _, a, b in ranked], model_max_length=LENGTH)


WORDS = PromptTokenizer(tokenizer(), PromptReading(LENGTH))


def prompt(text: str, *, ids: bool = True) -> Prompt:
    tokens = WORDS.tokenize(text)
    return Prompt(text, torch.zeros(LENGTH, 1), tokens.spans, tokens.ids if ids else ())


def mapper(x: str, y: str) -> tuple[list[int], Tensor]:
    """The authors' get_mapper: whole sequences of ids, gap 0, match 1, mismatch -1; ties left, then up."""
    x_seq, y_seq = (WORDS.tokenizer(text)["input_ids"] for text in (x, y))
    score = torch.zeros(len(x_seq) + 1, len(y_seq) + 1)
    trace = {**{(0, j): "left" for j in range(len(y_seq) + 1)}, **{(i, 0): "up" for i in range(1, len(x_seq) + 1)}}
    for i, a in enumerate(x_seq, 1):
        for j, b in enumerate(y_seq, 1):
            left, up, diagonal = score[i, j - 1], score[i - 1, j], score[i - 1, j - 1] + (1 if a == b else -1)
            score[i, j] = best = max(left, up, diagonal)
            trace[i, j] = "left" if best == left else "up" if best == up else "diagonal"
    found, i, j = [-1] * len(y_seq), len(x_seq), len(y_seq)
    while i or j:
        way = trace[i, j]
        if way == "diagonal":
            found[j - 1] = i - 1
        i, j = i - (way != "left"), j - (way != "up")
    alphas = torch.tensor([float(at >= 0) for at in found] + [1.0] * (LENGTH - len(found)))
    return [*found, *range(len(y_seq), LENGTH)], alphas


def test_the_tokens_are_clips():
    assert WORDS.tokenize("a photo of a cat").ids[:7] == (START, 320, 1125, 539, 320, 2368, END)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_refine_aligns_by_ids_as_the_authors_do(before, after):
    source, target = prompt(before), prompt(after)
    mapped, alphas = mapper(before, after)
    maps = torch.rand(5, LENGTH, dtype=torch.float64)
    wanted = maps[:, mapped] * alphas
    official, ours = (alignment(source, target, how) for how in ("refine_official", "refine"))
    assert torch.equal(official.aligned, alphas)
    assert torch.equal(ours.aligned, alphas)
    torch.testing.assert_close(maps @ official.matrix.double(), wanted, rtol=0, atol=1e-10)
    longer = len(WORDS.tokenizer(before)["input_ids"]) > len(WORDS.tokenizer(after)["input_ids"])
    assert torch.equal(ours.matrix, official.matrix) != longer


def test_letters_alone_would_take_the_beginning_of_a_word_for_the_word():
    by_ids, by_text = (
        alignment(prompt("a cat", ids=ids), prompt("a catlike statue", ids=ids), "refine") for ids in (True, False)
    )
    piece = prompt("a catlike statue").positions("catlike")[0]
    assert (by_ids.aligned[piece], by_text.aligned[piece]) == (0, 1)


def test_local_blending_edits_the_beginning_of_a_new_word_too():
    source, target = prompt("a dog in the snow"), prompt("a dogsled in the snow")
    changed = local._changed(Edit(source, target, prompt("")))
    assert changed["target"] == list(target.positions("dogsled"))
    assert changed["source"] == list(source.positions("dog"))


def test_the_embedded_models_prompts_carry_their_ids_to_the_stages():
    machine = Machine(find("storybook"), "cpu", torch.float32)
    source, target = run(*(machine.texts.prompt(f"a cat in the {where}") for where in ("rain", "rainbow")))
    assert source.ids == machine.texts.encoders[0].words.tokenize(source.text).ids
    aligned = alignment(source, target, "refine").aligned
    pieces = {target.text[slice(*target.spans[i])]: i for i in target.positions("rainbow")}
    assert aligned[pieces["ra"]], "which begins both words"
    assert not aligned[pieces["in"]], "which ends one of them"
