"""Attention controls that act nowhere, or where they should not."""

from __future__ import annotations

from retouch.api import Touch, stage
from tests.laws.planted.faults import planted


@planted("no recipe can use it: 'touches' has a Touch whose kind is 'corss'")
@stage("attend", "a", touches=(Touch("corss", "transform", "q"),))  # pyright: ignore[reportArgumentType]
def misspells_its_site():
    return (lambda attn: None,)


@planted("touch 0 never acts (transform q of self, scale 16-32, steps 0%-100%): no site of this network is like that")
@stage("attend", "a", touches=(Touch("self", "transform", "q", scale=(16, 32)),))
def touches_where_nothing_is():
    return (lambda attn: None,)


@planted("start is 0.9 and until 0.5, so it never acts")
@stage("attend", "a", touches=(Touch("self", "transform", "q", start=0.9, until=0.5),))
def has_its_window_backwards():
    return (lambda attn: None,)


@planted("equal rows differ")
@stage("attend", "a", touches=(Touch("self", "transform", "q"),))
def makes_queries_louder():
    def act(attn):
        for _, target in attn.pairs("source", "target", role="cond"):
            attn.q[target] *= 2

    return (act,)


@planted("writes 'k' in rows that its touch does not name")
@stage("attend", "a", touches=(Touch("self", "transform", "k"),))
def moves_the_source():
    def act(attn):
        attn.k[:] = attn.k.flip(0).clone()

    return (act,)
