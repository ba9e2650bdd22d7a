"""What waits is packed once, whole and nearly full, and the packing is a function of what waits."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.core.awaited.requests import Backward, Call, Group, Row
from retouch.core.denoiser import Denoiser
from retouch.core.schedule import Level
from retouch.core.values import Prompt
from retouch.run.batching import FULL_ENOUGH, LADDER, Buckets, key_of, pack, rows_of
from retouch.testing.gaussian import GaussianMixture
from retouch.testing.strategies import buckets, groups, parts

MODEL = Denoiser(GaussianMixture(torch.zeros(2, 1, 1, 1)))


def group(rows: int, grad: int | None = None) -> Group:
    """Rows of one model; row number `grad` asks for a gradient."""
    made = [
        Row(
            MODEL, torch.zeros(1, 1, 1, requires_grad=i == grad), Level(1, 0.6, 0.8), 1.0, Prompt("", torch.zeros(1, 2))
        )
        for i in range(rows)
    ]
    return Group(tuple(made), (("cond",),) * rows)


@settings(deadline=None)
@given(parts(), buckets())
def test_every_part_is_packed_once_whole_and_with_its_own_kind(waiting, buckets):
    batches = pack(waiting, buckets)
    assert sorted(place for batch in batches for place in batch.places) == list(range(len(waiting)))
    for batch in batches:
        assert batch.rows == sum(rows_of(waiting[place]) for place in batch.places)
        assert batch.rows <= batch.bucket
        assert len({key_of(waiting[place]) for place in batch.places}) == 1
        assert batch.places == sorted(batch.places)


@settings(deadline=None)
@given(parts(most=40), buckets().filter(lambda b: not b.fixed))
def test_a_call_is_three_quarters_full_or_exactly_full(waiting, buckets):
    for batch in pack(waiting, buckets):
        assert batch.rows == batch.bucket or (
            batch.bucket in buckets.ladder and batch.rows >= FULL_ENOUGH * batch.bucket
        ), f"{batch.rows} rows in a bucket of {batch.bucket}"


@settings(deadline=None)
@given(st.lists(groups(most=1), max_size=80))
def test_rows_that_nothing_joins_go_into_buckets_of_the_ladder(waiting):
    assert {batch.bucket for batch in pack(waiting, Buckets())} <= set(LADDER)


@settings(deadline=None)
@given(parts(), parts(), st.integers(1, 20))
def test_the_bucket_of_a_part_in_exact_mode_does_not_depend_on_its_company(mine, others, fixed):
    def bucket_of_each(waiting):
        where = {place: batch.bucket for batch in pack(waiting, Buckets(fixed=fixed)) for place in batch.places}
        return [where[place] for place in range(len(mine))]

    assert bucket_of_each(mine) == bucket_of_each(mine + others)
    assert set(bucket_of_each(mine)) <= {fixed * n for n in range(1, 11)}


def test_a_group_larger_than_the_exact_bucket_meets_nobody():
    batches = pack([group(2), group(20), group(3), group(20)], Buckets(fixed=16))
    assert [(batch.places, batch.bucket) for batch in batches] == [([0, 2], 16), ([1], 32), ([3], 32)]


def test_five_edits_take_a_call_of_four_and_one_of_one():
    assert [batch.bucket for batch in pack([group(1)] * 5, Buckets())] == [4, 1]
    assert [batch.bucket for batch in pack([group(1)] * 7, Buckets())] == [8]


def test_a_group_is_evaluated_with_gradients_where_any_of_its_rows_asks():
    assert [key_of(group(3, grad=place))[0] for place in (None, 0, 1, 2)] == ["denoise", *["gradient"] * 3]


def test_all_backward_passes_are_one():
    waiting = [Backward(torch.zeros(()), ()) for _ in range(50)]
    assert [(batch.kind, len(batch.places)) for batch in pack(waiting, Buckets())] == [("backward", 50)]


def test_calls_of_different_functions_or_sizes_do_not_meet():
    waiting = [Call(torch.neg, torch.zeros(1)), Call(torch.abs, torch.zeros(1)), Call(torch.neg, torch.zeros(2))]
    assert [batch.places for batch in pack(waiting, Buckets())] == [[0], [1], [2]]
