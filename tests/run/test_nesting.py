"""Branches and gatherings nest in any order; controls see their own rows; recorded maps are values."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from retouch.api import AttentionControl, AttentionMaps, Blend, SiteCall, Touch, gather, together
from retouch.core.awaited.requests import Scope
from retouch.models.network.seam import Pass, ScopeView
from retouch.run.batching import Buckets
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import MAPS, p2p, pag, pnp

WORLD = replace(tiny_world(steps=4), guidance=cfg(guidance=3.0))
MODEL, EDIT, STEP, X = WORLD.model, WORLD.edit, WORLD.schedule.steps[0], WORLD.latents.data
P2P = (p2p(),)


def ask(prompt, shift=0.0):
    """One row."""
    return MODEL(X + shift, STEP.noisy, prompt)


def three(prompt):
    """Three independent rows."""
    return gather(ask(prompt, float(i)) for i in range(3))


def pair(shift=0.0, control=P2P):
    """Source and target under a control."""
    return together(attention=control, step=STEP, source=ask(EDIT.source, shift), target=ask(EDIT.target, shift))


def with_calls(coroutine):
    """The result, and the rows of each call."""
    executor, task = Executor(), Task(lambda: coroutine)
    executor.run([task])
    if task.error:
        raise task.error
    return task.result, [info.rows for info in executor.calls]


def far(one, two) -> float:
    return float((one - two).abs().max())


def test_gathering_inside_branches_is_as_many_pairs():
    found, rows = with_calls(together(attention=P2P, step=STEP, source=three(EDIT.source), target=three(EDIT.target)))
    assert rows == [6]
    for i in range(3):
        (alone,) = run(pair(float(i)))
        assert far(found["target"][i].eps, alone["target"].eps) <= 1e-5
        assert far(found["source"][i].eps, alone["source"].eps) <= 1e-5


def test_branches_inside_a_gathering_are_as_many_pairs():
    found, rows = with_calls(gather(pair(float(i)) for i in range(3)))
    assert rows == [6]
    for i in range(3):
        assert far(found[i]["target"].eps, run(pair(float(i)))[0]["target"].eps) <= 1e-5


def test_a_control_acts_in_both_orders():
    assert far(run(pair())[0]["target"].eps, run(pair(control=()))[0]["target"].eps) > 0.01


def test_rows_without_a_partner_stay_plain():
    (found,) = run(together(attention=P2P, step=STEP, source=three(EDIT.source), target=ask(EDIT.target, 1.0)))
    assert far(found["target"].eps, run(ask(EDIT.target, 1.0))[0].eps) <= 1e-5


def test_a_row_that_a_control_only_reads_keeps_its_bits():
    controlled, plain = run(pair(), pair(control=()), buckets=Buckets(fixed=16))
    assert torch.equal(controlled["source"].pair, plain["source"].pair)


def guided(guide, control):
    """Both branches guided, under a control, at the noisiest step."""
    return together(
        attention=control,
        step=STEP,
        source=guide(MODEL, X, STEP.noisy, EDIT.source, EDIT.negative),
        target=guide(MODEL, X, STEP.noisy, EDIT.target, EDIT.negative),
    )


def test_perturbed_attention_under_an_idle_control_is_perturbed_attention():
    found, rows = with_calls(guided(pag(), (p2p(cross=0.0, self_=0.0),)))
    (alone,) = run(pag()(MODEL, X, STEP.noisy, EDIT.target, EDIT.negative))
    assert rows == [4]
    assert far(found["target"].eps, alone.eps) <= 2e-5


def test_perturbed_attention_and_prompt_to_prompt_both_act_in_one_forward_pass():
    nested, rows = with_calls(guided(pag(), P2P))
    assert rows == [4]
    (alone,) = run(pag()(MODEL, X, STEP.noisy, EDIT.target, EDIT.negative))
    (unperturbed,) = run(guided(pag(0.0), P2P))
    assert far(nested["target"].eps, alone.eps) > 0.01
    assert far(nested["target"].eps, unperturbed["target"].eps) > 0.01


def test_nothing_of_a_control_outlives_its_forward_pass():
    def plainly():
        context = torch.stack((EDIT.source.embeds, EDIT.target.embeds))
        with torch.no_grad():
            return MODEL.core.module(
                X.expand(2, -1, -1, -1), torch.tensor([500.0]), encoder_hidden_states=context
            ).sample

    def broken(attn: SiteCall) -> None:
        raise ValueError

    before = plainly()
    run(pair())
    assert torch.equal(plainly(), before)
    with pytest.raises(ValueError):  # noqa: PT011 (the control's own, which says nothing)
        run(pair(control=(*P2P, AttentionControl(((Touch("cross", "transform", "probs", first=3), broken),)))))
    assert torch.equal(plainly(), before)


def test_outer_controls_act_first():
    order = []

    def control(name):
        def act(attn: SiteCall) -> None:
            order.append((name, attn.roles[0]))

        return AttentionControl(((Touch("self", "transform", "q", first=3), act),))

    inner = together(attention=(control("inner"),), step=STEP, a=ask(EDIT.source))
    run(together(attention=(control("outer"), control("second")), step=STEP, source=inner))
    assert order == [("outer", ("source", "a", "cond")), ("second", ("source", "a", "cond")), ("inner", ("a", "cond"))]


def test_controls_of_different_kinds_fuse_unharmed():
    (made,) = run(WORLD.call(ddim, pinned="always"))
    works = [(pnp(),), (), P2P]

    def edit(attend):
        return WORLD.call(sample, trajectory=made, attend=attend)

    for attend, among in zip(works, run(*map(edit, works)), strict=True):
        assert far(among.data, run(edit(attend))[0].data) <= 2e-4


def test_features_replaced_in_the_whole_decoder_move_the_target():
    (made,) = run(WORLD.call(ddim, pinned="always"))
    plain, moved = run(*(WORLD.call(sample, trajectory=made, attend=attend) for attend in ((), (pnp(),))))
    assert far(plain.data, moved.data) > 0.1


@pytest.mark.parametrize(
    ("invert", "each"), [(ddim, 3), (partial(edit_friendly, strength=1.0), 3), (partial(edict, strength=1.0), 6)]
)
def test_maps_recorded_in_the_loop_are_sums_that_a_blend_reads(invert, each):
    """Three sites are at full resolution, and EDICT evaluates twice a step."""
    (made,) = run(WORLD.call(invert, strength=1.0))
    counts = []

    def apply(state, source, step, maps: AttentionMaps):
        mean = maps.of("target")
        assert mean.shape == (64, 7)
        assert torch.allclose(mean.sum(-1), torch.ones(64, dtype=mean.dtype), atol=1e-5)
        counts.append(maps.count)
        return state

    run(WORLD.call(sample, trajectory=made, attend=P2P, blend=(Blend(apply, MAPS),)))
    assert counts == [each, 2 * each, 3 * each, 4 * each]


def test_two_blends_that_read_get_each_its_own_maps():
    (made,) = run(WORLD.call(ddim, pinned="always"))
    shapes = {}

    def reader(name, touch):
        def apply(state, source, step, maps: AttentionMaps):
            shapes[name] = tuple(maps.of("target").shape)
            return state

        return Blend(apply, touch)

    own = Touch("self", "read", "maps", scale=(2, 2))
    plain = Blend(lambda state, source, step, maps: shapes.setdefault("plain", maps.count) or state)
    blends = (reader("cross", MAPS), plain, reader("self", own))
    run(WORLD.call(sample, trajectory=made, blend=blends))
    assert shapes == {"cross": (64, 7), "plain": 0, "self": (16, 16)}


def test_maps_are_recorded_after_they_are_edited():
    (found,) = run(
        together(
            attention=(p2p(cross=1.0, self_=0.0),),
            record=(MAPS,),
            step=STEP,
            source=ask(EDIT.source),
            target=ask(EDIT.target),
        )
    )
    assert torch.equal(found.maps[0].of("source"), found.maps[0].of("target"))


def test_recording_changes_no_bit():
    plain, recorded = (run(together(record=record, step=STEP, a=ask(EDIT.source)))[0] for record in ((), (MAPS,)))
    assert torch.equal(plain["a"].pair, recorded["a"].pair)


def test_maps_of_nested_scopes_belong_to_the_one_that_asked():
    inner = together(record=(MAPS,), a=ask(EDIT.source), b=ask(EDIT.target))
    (found,) = run(together(record=(MAPS,), step=STEP, source=inner, target=ask(EDIT.target)))
    assert set(found.maps[0].sums) == {("source", "a", "cond"), ("source", "b", "cond"), ("target", "cond")}
    assert set(found["source"].maps[0].sums) == {("a", "cond"), ("b", "cond")}


def test_a_recording_of_several_scales_is_refused():
    with pytest.raises(ValueError, match="one scale"):
        run(together(record=(replace(MAPS, scale=(1, 2)),), a=ask(EDIT.source)))


def test_maps_add_up_from_nothing():
    one = AttentionMaps({("a", "cond"): torch.ones(2, 2)}, 1)
    total = AttentionMaps() + one + one
    assert total.count == 2
    assert torch.equal(total.of("a"), torch.ones(2, 2))
    with pytest.raises(KeyError):
        total.of("b")


def test_what_a_control_breaks_in_one_scope_of_a_group_no_other_scope_mends():
    """Of scopes within one another, the inner one's answer comes last."""
    broken, fine = torch.tensor(False), torch.tensor(True)
    scope = Scope((), (), None, 0, 1)
    views = [ScopeView(scope, slice(0, 1), [], kept={("writes", "of"): each}) for each in (broken, fine)]
    assert [dict(each) for each in Pass([(slice(0, 1), views)], [1]).kept()] == [{("writes", "of"): broken}]
