"""Two controls that cannot both have their way are known from their declarations alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from retouch.api import AttentionControl
from retouch.core.declared.touches import Touch, clashes
from retouch.testing.tiny import tiny_core
from tests.laws.by_hand import MAPS, PERTURBED, masactrl, p2p, pnp

SITES = tiny_core().sites


def touches(control):
    return [touch for touch, _ in control.acts]


def found(**controls):
    return [str(clash) for clash in clashes(list(controls.items()), SITES)]


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        (
            {"p2p": touches(p2p()), "masactrl": touches(masactrl(start=0.08))},
            "'masactrl' replaces kv of self-attention at 2 sites where 'p2p' acts, steps 8%-40%",
        ),
        ({"p2p": touches(p2p()), "masactrl": touches(masactrl(start=0.4))}, None),
        ({"p2p": touches(p2p()), "pag": [PERTURBED]}, None),
        (
            {"p2p": touches(p2p()), "pnp": touches(pnp())},
            "'pnp' replaces qk of self-attention at 2 sites where 'p2p' acts, steps 0%-40%",
        ),
        ({"p2p": touches(p2p()), "reader": [MAPS]}, None),
        ({"pnp": touches(pnp()), "p2p": touches(p2p())}, "'p2p' replaces qk of self-attention at 2 sites"),
    ],
    ids=["p2p then masactrl", "on other steps", "on other rows", "p2p then pnp", "a reader", "pnp then p2p"],
)
def test_what_would_be_undone_is_found(controls, said):
    clash = found(**controls)
    assert (not clash) if said is None else (len(clash) == 1 and said in clash[0]), clash


@pytest.mark.parametrize(
    ("first", "then", "clash"),
    [
        (Touch("cross", "transform", "q"), Touch("cross", "replace", "probs"), True),  # maps are made of q and k
        (Touch("cross", "transform", "v"), Touch("cross", "replace", "probs"), False),
        (Touch("cross", "transform", "v"), Touch("cross", "replace", "out"), True),  # the output is made of all three
        (Touch("cross", "replace", "probs"), Touch("cross", "transform", "probs"), False),  # new from old
        (Touch("cross", "replace", "probs"), Touch("cross", "read", "probs"), False),
        (Touch("cross", "read", "probs"), Touch("cross", "replace", "probs"), False),
        (Touch("cross", "replace", "q"), Touch("cross", "replace", "k"), False),
        (Touch("self", "replace", "q"), Touch("cross", "replace", "q"), False),
        (Touch("self", "replace", "q", rows="uncond"), Touch("self", "replace", "q"), False),
        (Touch("self", "replace", "q", rows="*"), Touch("self", "replace", "q"), True),
        (Touch("self", "replace", "q", place="up"), Touch("self", "replace", "q", place="down"), False),
        (Touch("self", "replace", "q", scale=(2, 2)), Touch("self", "replace", "q", scale=(1, 1)), False),
        (Touch("self", "replace", "q", until=0.5), Touch("self", "replace", "q", start=0.5), False),
        (Touch("resnet", "replace", "features"), Touch("resnet", "replace", "features"), True),
        (Touch("self", "replace", "out"), Touch("self", "replace", "q"), True),  # its order in the call undoes it
    ],
)
def test_a_replacement_clashes_with_what_made_what_it_replaces(first, then, clash):
    assert bool(clashes([("a", [first]), ("b", [then])], SITES)) == clash


def test_each_pair_of_controls_is_told_once():
    same = [Touch("self", "replace", "q"), Touch("self", "replace", "k")]
    told = [(clash.first, clash.then) for clash in clashes([("a", same), ("b", same), ("c", same)], SITES)]
    assert told == [("a", "b"), ("a", "c"), ("b", "c")]


def test_declarations_are_checked_without_torch():
    code = "import sys, retouch.core.declared.touches; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bounds_that_name_options_are_read_from_them():
    touch = Touch("self", "replace", "q", start="begin", until="end").bound({"begin": 0.25, "end": 0.5})
    assert [touch.during(progress) for progress in (0.0, 0.25, 0.49, 0.5)] == [False, True, True, False]


def test_a_control_prints_its_touches():
    everywhere = Touch("self", "replace", "qk", until="self_replace")
    somewhere = Touch("cross", "read", "maps", "*", 0.25, 0.8, "up", (1, 2), 3, (0.5, 1.0), "up_blocks.*")
    control = AttentionControl(((everywhere, print), (somewhere, print)))
    assert repr(control) == (
        "AttentionControl(replace qk of self, steps 0%-self_replace; "
        "read maps of up cross, all rows, scale 1-2, from site 3, depth 50%-100%, sites up_blocks.*, steps 25%-80%)"
    )
