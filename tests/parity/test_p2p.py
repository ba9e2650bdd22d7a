"""Prompt-to-Prompt against a naive transcription: whole-batch processors that make every map, and walked mappers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from retouch.core.awaited.combinators import together
from retouch.core.denoiser import Denoiser
from retouch.core.values import Edit, Prompt
from retouch.run.executor import run
from retouch.testing.tiny import CELLS, CHANNELS, WIDTH, Draws, schedule, tiny_core
from retouch_methods.attend.alignment import alignment
from retouch_methods.attend.p2p import p2p
from tests.parity.by_papers import ShowsMaps

TOKENS, STEPS = 14, 10
ROWS = (("source", "uncond"), ("target", "uncond"), ("source", "cond"), ("target", "cond"))


def prompt(text: str, embeds: Tensor | None = None) -> Prompt:
    """Letters in fours, digits and signs alone, as a byte-pair encoder might: the end of a word is another token."""
    spans = [m.span() for m in re.finditer(r"[a-z]{1,4}|\d|[^\w\s]", text, re.IGNORECASE)]
    ids = [0, *(number(text, *span) for span in spans), 1]
    ids += [1] * (TOKENS - len(ids))
    spans = [(0, 0), *spans, *[(0, 0)] * (TOKENS - 1 - len(spans))]
    return Prompt(text, torch.zeros(TOKENS, 1) if embeds is None else embeds, tuple(spans), tuple(ids))


def number(text: str, start: int, end: int) -> int:
    """Of a token; 0 and 1 are the start and the end."""
    ends_word = not re.match(r"[a-z]", text[end:], re.IGNORECASE) or not text[start].isalpha()
    return 2 + int.from_bytes(f"{text[start:end].lower()}{'.' * ends_word}".encode())


# The mappers, walked token by token over whole sequences: start, words, end, padding.


def word_places(of: Prompt, n: int) -> list[int]:
    """Token positions of the n-th word."""
    word = list(re.finditer(r"[^ ]+", of.text))[n]
    return [k for k, (a, b) in enumerate(of.spans) if a < b and word.start() <= a and b <= word.end()]


def walked_replace(x: Prompt, y: Prompt, official: bool) -> Tensor:
    words_x, words_y = x.text.lower().split(" "), y.text.lower().split(" ")
    swaps = [(word_places(x, n), word_places(y, n)) for n, w in enumerate(words_y) if words_x[n] != w]
    matrix, i, j = torch.zeros(TOKENS, TOKENS), 0, 0
    while j < TOKENS and (i < TOKENS or not official):
        if swaps and swaps[0][0][0] == i:
            theirs, ours = swaps.pop(0)
            for n, a in enumerate(theirs):
                for m, b in enumerate(ours):
                    matrix[a, b] = float(n == m) if len(theirs) == len(ours) else 1 / len(ours)
            i, j = i + len(theirs), j + len(ours)
            continue
        matrix[j if official and not swaps else min(i, TOKENS - 1), j] = 1
        i, j = i + 1, j + 1
    return matrix


def walked_refine(x: Prompt, y: Prompt, official: bool = False) -> tuple[list[int], Tensor]:
    """For each target token the source token, -1 for new ones; and 1 where there is one."""
    ids_x, ids_y = ([*p.ids[: p.ids.index(1)], 1] for p in (x, y))
    score, trace = torch.zeros(len(ids_x) + 1, len(ids_y) + 1), {}
    for i in range(len(ids_x) + 1):
        for j in range(len(ids_y) + 1):
            if i and j:
                left, up = score[i, j - 1], score[i - 1, j]
                diagonal = score[i - 1, j - 1] + (1 if ids_x[i - 1] == ids_y[j - 1] else -1)
                score[i, j] = best = max(left, up, diagonal)
                trace[i, j] = "left" if best == left else "up" if best == up else "diagonal"
            else:
                trace[i, j] = "left" if j else "up"
    mapper, i, j = [-1] * len(ids_y), len(ids_x), len(ids_y)
    while i or j:
        way = trace[i, j]
        if way == "diagonal":
            mapper[j - 1] = i - 1
        i, j = i - (way != "left"), j - (way != "up")
    alphas = torch.tensor([float(m >= 0) for m in mapper] + [1.0] * (TOKENS - len(mapper)))
    # upstream takes padding from the same place, even where the longer source has a word there
    return mapper + [k if official else max(k, len(ids_x)) for k in range(len(mapper), TOKENS)], alphas


SWAPS = [
    ("a white cat", "a white cat"),
    ("a white cat", "a white dog"),
    ("a white cat", "the black dog"),
    ("a cat on a mat", "a tiger on a mat"),  # 1 token to 2
    ("a cat on a mat", "a rhinoceros on a mat"),  # 1 to 3
    ("a rhinoceros on a mat", "a cat on a mat"),  # 3 to 1
    ("a giraffes cat runs", "a cat rhinoceros runs"),  # 2 to 1, then 1 to 3
    ("a cat, sitting", "a dog, sitting"),  # one token of the word's two
    ("a cat, sitting", "a cat sitting"),  # punctuation alone
    ("a cat and a cat", "a dog and a cat"),  # a repeated word
    ("cat", "rhinoceros"),
    ("A White cat", "a white CAT"),
    ("a rhinoceros on a mat", "a cat on A mat"),  # the case of letters is no difference
]
ADDED = [
    ("a cat", "a white cat"),
    ("a white cat", "a cat"),
    ("a big rhinoceros, asleep", "a cat"),
    ("a cat", "a cat on a big rhinoceros"),
    ("a cat and a cat", "a cat and a cat and a cat"),  # ties
    ("the cat the dog the cat", "the cat the"),
    ("a red cat", "a cat red"),  # a tie that left and up decide differently
    ("cat", "dog, 7 dogs!"),
    ("a tiger", "a tiger"),
    ("", "a tiger"),
    ("a tiger", ""),
    ("a cat in rain", "a cat in a rainbow"),  # "rain" ends a word in one, and begins one in the other
    ("a rainbow", "a rain"),
]


@pytest.mark.parametrize(("before", "after"), SWAPS)
def test_replace_maps_as_the_walk_over_tokens_does(before, after):
    x, y = prompt(before), prompt(after)
    for how, official in (("replace", False), ("replace_official", True)):
        matrix, aligned = alignment(x, y, how)
        assert torch.equal(matrix, walked_replace(x, y, official)), how
        assert aligned.all()


@pytest.mark.parametrize(("before", "after"), ADDED + SWAPS)
def test_refine_maps_as_needleman_and_wunsch_over_whole_sequences_do(before, after):
    x, y = prompt(before), prompt(after)
    for how, official in (("refine", False), ("refine_official", True)):
        mapper, alphas = walked_refine(x, y, official)
        matrix, aligned = alignment(x, y, how)
        assert torch.equal(aligned, alphas)
        maps = torch.rand(5, TOKENS)
        assert torch.equal(maps @ matrix, maps[:, mapper] * alphas), how


def test_the_official_refine_gives_padding_the_last_words_of_a_longer_source_and_ours_does_not():
    x, y = prompt("a cat on my big mat"), prompt("a cat")
    ours, official = (alignment(x, y, how).matrix for how in ("refine", "refine_official"))
    words, padding = slice(4, 7), slice(4, 7)  # "my big mat", and the target after its end
    assert torch.equal(official[words, padding], torch.eye(3))
    assert not ours[:8, 4:].any()
    assert ours[8, 4:9].all()


def test_the_official_replace_loses_tokens_after_a_word_that_grew_and_ours_does_not():
    """Three tokens to five: 0.6 of the attention in each, and the two source tokens after the word are dropped."""
    x, y = prompt("a rhinoceros on my mat"), prompt("a hippopotamuses, on my mat")
    grown, after = word_places(y, 1), word_places(x, 2)[0]
    assert (len(word_places(x, 1)), len(grown)) == (3, 5)
    ours, official = (alignment(x, y, how).matrix for how in ("replace", "replace_official"))
    torch.testing.assert_close(official[:, grown].sum(0), torch.full((5,), 0.6))
    assert not official[after : after + 2].any()
    assert ours[after, word_places(y, 2)[0]] == 1


# The controls, on a second network of equal weights.


@dataclass
class NaiveP2P:
    """The step's state of the authors' controller, rows [uncond, uncond, cond, cond] of [source, target]."""

    mapper: Tensor | tuple[list[int], Tensor]
    cross: float = 0.8
    self_: float = 0.4
    limit: int = 1024
    words: dict[int, float] = field(default_factory=dict)  # token -> its own bound
    equalizer: dict[int, float] = field(default_factory=dict)  # token -> factor
    step: int = 0

    def __call__(self, maps: Tensor, is_cross: bool) -> Tensor:
        """maps: Tensor  # [4, heads, pixels, tokens]"""
        base, own = maps[2], maps[3]
        if is_cross:
            if isinstance(self.mapper, Tensor):
                new = torch.einsum("hpw,wn->hpn", base, self.mapper)
            else:
                mapper, alphas = self.mapper
                new = base[:, :, mapper] * alphas + own * (1 - alphas)
            eq, alpha = torch.ones(TOKENS), torch.zeros(STEPS + 1, TOKENS)
            alpha[: int(self.cross * (STEPS + 1))] = 1
            for token, bound in self.words.items():
                alpha[:, token] = 0
                alpha[: int(bound * (STEPS + 1)), token] = 1
            for token, factor in self.equalizer.items():
                eq[token] = factor
            maps[3] = new * eq * alpha[self.step] + own * (1 - alpha[self.step])
        elif self.step < int(STEPS * self.self_) and maps.shape[2] <= self.limit:
            maps[3] = base
        return maps


@pytest.fixture(scope="module")
def networks():
    """Ours, and a plain one of equal weights."""
    from diffusers import UNet2DConditionModel

    core = tiny_core()
    plain = UNet2DConditionModel.from_config(core.module.config)
    plain.load_state_dict(core.module.state_dict())
    return Denoiser(core), plain.eval()


class Bench:
    """One edit with its latents; predicts by both ways."""

    def __init__(self, networks, before: str, after: str, weights=()) -> None:
        self.model, self.plain = networks
        draws = Draws(3)
        texts = (before, after, "")
        self.edit = Edit(*(prompt(text, draws.tensor(TOKENS, WIDTH)) for text in texts), weights)
        self.x = {branch: draws.tensor(CHANNELS, CELLS, CELLS) for branch in ("source", "target")}
        self.steps = schedule(STEPS).steps

    def ours(self, step: int, *controls) -> dict[tuple[str, str], Tensor]:
        noisy, edit = self.steps[step].noisy, self.edit

        def guided(branch: str, towards: Prompt):
            x = self.x[branch]
            negative = self.model(x, noisy, edit.negative, role="uncond")
            return together(uncond=negative, cond=self.model(x, noisy, towards))

        branches = {"source": guided("source", edit.source), "target": guided("target", edit.target)}
        (found,) = run(together(attention=controls, step=self.steps[step], **branches))
        return {(branch, role): found[branch][role].eps for branch, role in ROWS}

    def naive(self, step: int, controller: NaiveP2P) -> dict[tuple[str, str], Tensor]:
        controller.step = step
        self.plain.set_attn_processor(ShowsMaps(controller))
        prompts = {"source": self.edit.source, "target": self.edit.target}
        context = [prompts[branch].embeds if role == "cond" else self.edit.negative.embeds for branch, role in ROWS]
        times = torch.full((4,), float(self.steps[step].noisy.timestep))
        with torch.no_grad():
            x = torch.stack([self.x[branch] for branch, _ in ROWS])
            out = self.plain(x, times, encoder_hidden_states=torch.stack(context)).sample
        return dict(zip(ROWS, out, strict=True))

    def compare(self, controller: NaiveP2P, steps=(0, 3, 4, 7, 8), **options) -> dict[int, float]:
        """Rows within 1e-5 of the naive ones, undeclared rows untouched; how far the target's moved at each step."""
        control, moved = p2p(self.edit, **options), {}
        for step in steps:
            acted, plain, naive = self.ours(step, control), self.ours(step), self.naive(step, controller)
            for row in ROWS:
                torch.testing.assert_close(acted[row], naive[row], rtol=0, atol=1e-5, msg=f"{row} at step {step}")
            for row in ROWS[:3]:
                assert torch.equal(acted[row], plain[row]), f"{row} moved at step {step}"
            moved[step] = float((acted[ROWS[3]] - plain[ROWS[3]]).abs().max())
        return moved


@pytest.mark.parametrize("how", ["replace", "replace_official"])
def test_replace_equals_naive_hooks(networks, how):
    bench = Bench(networks, "a rhinoceros on a mat", "a cat on a mat")
    mapper = walked_replace(bench.edit.source, bench.edit.target, how == "replace_official")
    moved = bench.compare(NaiveP2P(mapper), align=how)
    assert moved[0] > 1e-3
    assert moved[7] > 1e-4
    assert moved[8] == 0  # the window is over: 80 % of the steps


def test_refine_equals_naive_hooks(networks):
    bench = Bench(networks, "a cat on a mat", "a white cat on a big mat")
    mapper = walked_refine(bench.edit.source, bench.edit.target)
    assert bench.compare(NaiveP2P(mapper, cross=0.3, self_=0.0), (2, 3), cross_replace=0.3, self_replace=0.0)[3] == 0


def test_self_attention_alone_ends_with_its_own_window(networks):
    bench = Bench(networks, "a white cat", "a white dog")
    mapper = walked_replace(bench.edit.source, bench.edit.target, False)
    moved = bench.compare(NaiveP2P(mapper, cross=0.0, self_=0.5), (4, 5), cross_replace=0.0, self_replace=0.5)
    assert moved[4] > 1e-4
    assert moved[5] == 0


@pytest.mark.parametrize("limit", [15, 16, 63, 64])
def test_self_attention_is_shared_up_to_so_many_tokens(networks, limit):
    bench = Bench(networks, "a white cat", "a white dog")  # 64 tokens at four sites, 16 in the middle
    mapper = walked_replace(bench.edit.source, bench.edit.target, False)
    naive = NaiveP2P(mapper, cross=0.0, limit=limit)
    assert (bench.compare(naive, (0,), cross_replace=0.0, self_tokens=limit)[0] > 0) == (limit >= 16)


@pytest.mark.parametrize(("before", "after"), [("a white cat", "a white tiger"), ("a cat", "a white tiger")])
@pytest.mark.parametrize(("cross", "own"), [(0.8, (0.3, 0.3)), (0.3, (0.8, 0.3)), (0.8, (0.0, 0.0)), (0.8, (0.2, 0.7))])
def test_named_words_share_maps_for_their_own_time(networks, before, after, cross, own):
    bench = Bench(networks, before, after)
    x, y = bench.edit.source, bench.edit.target
    swap = len(before.split()) == len(after.split())
    mapper = walked_replace(x, y, False) if swap else walked_refine(x, y)
    words = {token: bound for n, bound in zip((0, 2), own, strict=True) for token in word_places(y, n)}
    naive = NaiveP2P(mapper, cross, 0.0, words=words)
    options = {"cross_replace": cross, "self_replace": 0.0, "words": ("a", "tiger"), "word_replace": own}
    assert bench.compare(naive, (0, 2, 3, 7, 8), **options)[8] == 0


@pytest.mark.parametrize(("before", "after"), [("a cat", "a cat"), ("a cat", "a dog"), ("a cat", "a white cat")])
def test_weights_scale_maps_within_the_window_new_words_included(networks, before, after):
    last = after.split()[-1]
    bench = Bench(
        networks, before, after, ((last, 2.5), (after.split()[1], -0.5)) if before != after else (("a", 3.0),)
    )
    x, y = bench.edit.source, bench.edit.target
    swap = len(before.split()) == len(after.split())
    factors = {token: factor for words, factor in bench.edit.weights for token in y.positions(words)}
    naive = NaiveP2P(walked_replace(x, y, False) if swap else walked_refine(x, y), self_=0.0, equalizer=factors)
    moved = bench.compare(naive, (0, 8), self_replace=0.0)
    assert moved[0] > 1e-4
    assert moved[8] == 0


@pytest.mark.parametrize("steps", [3, 7, 10, 50])
def test_windows_end_with_the_authors_where_they_hold_whole_steps_and_else_at_most_one_step_later(steps):
    """int(b (N + 1)) for words and int(b N) for pixels, and ours ceil(b N)."""
    walk, edit = schedule(steps), Edit(prompt("a cat"), prompt("a dog"), prompt(""))
    for percent in range(0, 101, 5):
        bound = percent / 100
        control = p2p(edit, cross_replace=bound, self_replace=bound)
        words, _, pixels = [sum(touch.during(step.progress) for step in walk) for touch, _ in control.acts]
        theirs = min(int(bound * (steps + 1)), steps), int(bound * steps)
        whole = (percent * steps) % 100 == 0
        for ours, official in zip((words, pixels), theirs, strict=True):
            assert ours == official if whole else 0 <= ours - official <= 1, (percent, ours, official)
