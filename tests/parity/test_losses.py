"""The losses that lead against plain transcriptions of their papers, on random numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from retouch.core.eyes import ImageText
from retouch.run.executor import run
from retouch.testing.tiny import Draws
from retouch_methods.guide.direction import directional, text_direction


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return Draws(seed, torch.float64).tensor(*shape)


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


class TestDirection:
    """StyleGAN-NADA, eq. 2: 1 - cos(E(now) - E(source), E(target text) - E(source text))."""

    def test_it_is_one_less_the_cosine_of_both_changes(self):
        now, source, wanted = unit(drawn(5, 7, seed=1)), unit(drawn(5, 7, seed=2)), unit(drawn(7, seed=3))
        for found, one, other in zip(directional(now, source, wanted), now, source, strict=True):
            change = [float(a - b) for a, b in zip(one, other, strict=True)]
            dot = sum(a * float(b) for a, b in zip(change, wanted, strict=True))
            assert float(found) == pytest.approx(1 - dot / math.hypot(*change), abs=1e-6)

    def test_texts_are_averaged_over_sentences_before_their_direction_is_of_length_one(self):
        read = {text: unit(drawn(7, seed=len(text))) for text in ("a cat", "a puppy", "see a cat!", "see a puppy!")}
        order = list(read)
        eye = ImageText(
            8,
            lambda batch: batch,
            lambda text: torch.tensor(order.index(text)),
            lambda ids: torch.stack([*read.values()])[ids],
        )
        (found,) = run(text_direction(eye, "a cat", "a puppy", ("_", "see _!")))
        mean = (read["a puppy"] - read["a cat"] + read["see a puppy!"] - read["see a cat!"]) / 2
        torch.testing.assert_close(found, mean / mean.norm())

    def test_a_text_that_stays_is_no_direction_and_a_picture_that_stays_no_nan(self):
        same = unit(drawn(1, 7)).requires_grad_()
        directional(same, same.detach(), torch.zeros(7).double()).sum().backward()
        assert same.grad is not None
        assert same.grad.isfinite().all()
