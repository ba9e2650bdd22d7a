"""What holds for every alignment of two prompts."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.core.values import Prompt
from retouch_methods.attend.alignment import alignment, tokens_of

TOKENS = 24
WORDS = st.sampled_from(["a", "cat", "Cat", "tiger,", "giraffes", "rhinoceroses", "on", "...", "red", "hat!"])
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)
MODES = ("auto", "replace", "refine", "replace_official")
CASES = settings(max_examples=60, deadline=None)


def prompt(text: str, tokens: int = TOKENS) -> Prompt:
    """Letters in fours, digits and signs alone, as a byte-pair encoder might; what does not fit is dropped."""
    spans = [m.span() for m in re.finditer(r"[a-z]{1,4}|\d|[^\w\s]", text, re.IGNORECASE)][: tokens - 2]
    spans = [(0, 0), *spans, *[(0, 0)] * (tokens - 1 - len(spans))]
    return Prompt(text, torch.zeros(tokens, 1), tuple(spans))


def pieces(of: Prompt) -> list[str]:
    return [of.text[a:b].casefold() for a, b in of.spans if a < b]


def words_as(sizes: list[list[str]]) -> tuple[str, str]:
    """Two texts of as many words."""
    return " ".join(a for a, _ in sizes), " ".join(b for _, b in sizes)


PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=6).map(words_as)


@CASES
@given(TEXTS, st.sampled_from(MODES))
def test_a_prompt_aligned_with_itself_keeps_every_map(text, how):
    matrix, aligned = alignment(prompt(text), prompt(text), how)
    assert torch.equal(matrix, torch.eye(TOKENS))
    assert aligned.all()


@CASES
@given(PAIRS)
def test_replace_gives_each_word_the_whole_attention_of_its_partner(texts):
    source, target = map(prompt, texts)
    matrix, aligned = alignment(source, target, "replace")
    (n, m) = len(pieces(source)), len(pieces(target))
    assert aligned.all()
    torch.testing.assert_close(matrix[: n + 1].sum(1), torch.ones(n + 1))  # all that the start and the words get
    assert matrix[n + 1, m + 1] == 1  # the end
    torch.testing.assert_close(matrix[:, m + 1 :].sum(0), torch.ones(TOKENS - m - 1))
    assert not matrix[: n + 1, m + 1 :].any()  # no word in the padding


@CASES
@given(PAIRS)
def test_replace_of_as_many_tokens_sums_to_one_in_every_column(texts):
    source, target = map(prompt, texts)
    matrix, _ = alignment(source, target, "replace")
    if all(len(pieces(prompt(a))) == len(pieces(prompt(b))) for a, b in zip(*(t.split() for t in texts), strict=True)):
        assert torch.equal(matrix.sum(0), torch.ones(TOKENS))
        assert torch.equal(matrix, alignment(source, target, "replace_official").matrix)


@CASES
@given(TEXTS, TEXTS)
def test_refine_takes_each_map_from_an_equal_token_and_never_back_in_order(before, after):
    source, target = prompt(before), prompt(after)
    matrix, aligned = alignment(source, target, "refine")
    x, y = pieces(source), pieces(target)
    assert torch.equal(matrix.sum(0), aligned)
    assert set(matrix.unique().tolist()) <= {0.0, 1.0}
    pairs = [(int(matrix[:, j + 1].argmax()) - 1, j) for j in range(len(y)) if aligned[j + 1]]
    assert all(x[i] == y[j] for i, j in pairs)
    assert all(i < k for (i, _), (k, _) in pairwise(pairs))
    assert len(pairs) == longest(tuple(x), tuple(y))
    assert matrix[0, 0] == 1
    assert matrix[len(x) + 1, len(y) + 1] == 1
    assert aligned[len(y) + 1 :].all()
    assert not matrix[: len(x) + 1, len(y) + 1 :].any()


@cache
def longest(x: tuple[str, ...], y: tuple[str, ...]) -> int:
    """Length of the longest common subsequence."""
    if not x or not y:
        return 0
    return 1 + longest(x[1:], y[1:]) if x[0] == y[0] else max(longest(x[1:], y), longest(x, y[1:]))


@CASES
@given(TEXTS, TEXTS)
def test_auto_replaces_if_the_prompts_have_as_many_words(before, after):
    source, target = prompt(before), prompt(after)
    how = "replace" if len(before.split()) == len(after.split()) else "refine"
    found, wanted = alignment(source, target, "auto"), alignment(source, target, how)
    assert torch.equal(found.matrix, wanted.matrix)
    assert torch.equal(found.aligned, wanted.aligned)


@CASES
@given(PAIRS, st.sampled_from(MODES))
def test_prompts_that_do_not_fit_are_aligned_as_far_as_they_go(texts, how):
    matrix, aligned = alignment(prompt(texts[0], 6), prompt(texts[1], 6), how)
    assert matrix.shape == (6, 6)
    assert aligned.shape == (6,)
    assert matrix.isfinite().all()


@pytest.mark.parametrize("how", ["replace", "replace_official"])
def test_replace_of_unequal_prompts_says_what_to_do(how):
    with pytest.raises(ValueError, match=r'3 and 4 words; write as many words in both, or use align="refine"'):
        alignment(prompt("a white cat"), prompt("a big white cat"), how)


def test_words_are_found_at_every_place_and_must_be_there():
    assert tokens_of(prompt("a cat and a giraffe"), "a") == [1, 4]
    assert tokens_of(prompt("a cat and a giraffe"), "a giraffe") == [4, 5, 6]
    with pytest.raises(ValueError, match=r"no 'dog' in the target prompt 'a cat'"):
        tokens_of(prompt("a cat"), "dog")
