"""The figures, against their formulas written out and against values known beforehand."""

from __future__ import annotations

import math

import pytest
import torch

from retouch_bench.metrics import MOST_DB, iou, psnr, ssim, structure_distance
from retouch_bench.table import estimate

DRAWS = torch.Generator().manual_seed(0)
SIDE = 16
ALL = torch.ones(SIDE, SIDE, dtype=torch.bool)
LEFT = ALL & (torch.arange(SIDE) < 7)
A, B = torch.rand(2, 3, SIDE, SIDE, generator=DRAWS, dtype=torch.float64)


def test_a_tenth_everywhere_is_20_db():
    assert psnr(A, A + 0.1, ALL) == pytest.approx(20)


def test_only_the_chosen_pixels_count_and_their_number_does_not():
    spoilt = torch.where(LEFT, A + 0.1, B)
    assert psnr(A, spoilt, LEFT) == pytest.approx(20)
    assert psnr(A, spoilt, ~LEFT) == pytest.approx(-10 * math.log10((A - B)[:, ~LEFT].square().mean()))


def test_equal_pictures_count_as_the_most_and_no_pixels_as_nothing():
    assert psnr(A, A, ALL) == MOST_DB
    assert psnr(A, B, ~ALL) is None
    assert ssim(A, B, ~ALL) is None


@pytest.mark.thorough
def test_ssim_is_its_formula():
    weights = [math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)]
    window = torch.tensor([[u * v for u in weights] for v in weights], dtype=torch.float64)
    window /= window.sum()

    def at(picture, y, x):
        def mirrored(i):
            return -i if i < 0 else 2 * (SIDE - 1) - i if i >= SIDE else i

        return torch.stack(
            [torch.stack([picture[mirrored(y + v), mirrored(x + u)] for u in range(-5, 6)]) for v in range(-5, 6)]
        )

    total = 0.0
    for a, b in zip(A, B, strict=True):
        for y in range(SIDE):
            for x in range(SIDE):
                p, q = at(a, y, x), at(b, y, x)
                mean_p, mean_q = (window * p).sum(), (window * q).sum()
                var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
                both = (window * (p - mean_p) * (q - mean_q)).sum()
                luminance = (2 * mean_p * mean_q + 1e-4) / (mean_p**2 + mean_q**2 + 1e-4)
                total += float(luminance * (2 * both + 9e-4) / (var_p + var_q + 9e-4))
    assert ssim(A, B, ALL) == pytest.approx(total / (3 * SIDE * SIDE))


def test_ssim_outside_does_not_see_the_edit_inside():
    edited = torch.where(LEFT, B, A)
    assert ssim(edited, A, ~LEFT) == pytest.approx(1)
    assert ssim(edited, A, ALL) < 0.9


def test_intersection_over_union():
    top = (ALL & (torch.arange(SIDE) < 8)).T
    assert iou(LEFT, LEFT) == 1
    assert iou(LEFT, ~LEFT) == 0
    assert iou(~ALL, ~ALL) == 1
    assert iou(LEFT, top) == pytest.approx((7 * 8) / (7 * 16 + 8 * 16 - 7 * 8))


def test_structure_distance_is_that_of_cosines_written_out():
    a, b = torch.randn(2, 1, 5, 4, generator=DRAWS)
    expected = 0.0
    for i in range(5):
        for j in range(5):
            cosines = [torch.cosine_similarity(keys[0, i], keys[0, j], dim=0) for keys in (a, b)]
            expected += float((cosines[0] - cosines[1]) ** 2) / 25
    assert float(structure_distance(a, b)) == pytest.approx(expected, rel=1e-4)
    assert float(structure_distance(a, 3 * a)) == pytest.approx(0, abs=1e-10)


def test_an_interval_holds_its_mean_shrinks_with_more_edits_and_is_the_same_again():
    few, many = [0.0, 1.0] * 5, [0.0, 1.0] * 200
    of_few, of_many = estimate(few), estimate(many)
    assert of_few
    assert of_many
    assert of_few["low"] <= of_few["mean"] == 0.5 <= of_few["high"]
    assert of_many["high"] - of_many["low"] == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(400), rel=0.15)
    assert of_many["high"] - of_many["low"] < of_few["high"] - of_few["low"]
    assert estimate(few) == of_few


def test_what_was_not_measured_is_left_out_of_the_mean():
    assert estimate([1.0, None, 3.0]) == estimate([1.0, 3.0])
    assert estimate([None]) is None
