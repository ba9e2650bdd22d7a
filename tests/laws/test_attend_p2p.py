"""What Prompt-to-Prompt promises, alone and in company."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.core.attention import AttentionControl, SiteCall
from retouch.core.awaited.combinators import together
from retouch.core.declared.touches import Touch, clashes
from retouch.core.guidance import predictor
from retouch.core.values import Edit
from retouch.plugins import registry
from retouch.plugins.discovery import Plugin
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.tiny import CELLS, CHANNELS, Draws, schedule, tiny_model
from retouch_methods.attend.p2p import p2p
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.edict import Edict

STEPS = schedule(10).steps
NOTHING = {"cross_replace": 0.0, "self_replace": 0.0}


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def draws():
    return Draws(5)


@pytest.fixture
def edit(draws):
    return draws.edit()


@pytest.fixture
def x(draws):
    return {branch: draws.tensor(CHANNELS, CELLS, CELLS) for branch in ("source", "target")}


def predicted(model, edit: Edit, x, *controls, guidance=None, step=STEPS[0]):
    """Guided predictions of both branches at one step."""
    asks = {
        branch: predictor(guidance or cfg(guidance=3.0), model, toward, edit.negative)(x[branch], step.noisy)
        for branch, toward in (("source", edit.source), ("target", edit.target))
    }
    return {k: pred.pair for k, pred in run(together(attention=controls, step=step, **asks))[0].items()}


def far(a, b) -> float:
    return float((a - b).abs().max())


def test_a_target_that_equals_the_source_stays_equal(model, edit, x):
    same = replace(edit, target=edit.source)
    for align in ("auto", "refine", "replace_official"):
        control = p2p(same, cross_replace=1.0, self_replace=1.0, align=align)
        found = predicted(model, same, {"source": x["source"], "target": x["source"]}, control)
        source, target = (found[branch][1] for branch in ("source", "target"))  # eps; x0 is that over alpha
        assert far(source, target) < 1e-5


def test_without_a_window_nothing_is_touched(model, edit, x):
    idle, plain = (predicted(model, edit, x, *controls) for controls in ((p2p(edit, **NOTHING),), ()))
    for branch, pair in plain.items():
        assert torch.equal(idle[branch], pair)


def test_the_source_row_does_not_notice(model, edit, x):
    acted, plain = (predicted(model, edit, x, *controls) for controls in ((p2p(edit),), ()))
    assert torch.equal(acted["source"], plain["source"])
    assert far(acted["target"], plain["target"]) > 1e-3


def test_a_weight_of_one_is_no_weight(model, edit, x):
    weighed = replace(edit, weights=(("dog", 1.0),))
    assert torch.equal(
        predicted(model, edit, x, p2p(edit))["target"], predicted(model, edit, x, p2p(weighed))["target"]
    )


class Maps(dict):
    """Attention maps by row, and which of them were written."""

    def __init__(self, rows) -> None:
        super().__init__(rows)
        self.written = []

    def __setitem__(self, row, value) -> None:
        self.written.append(row)
        super().__setitem__(row, value)


@pytest.mark.parametrize("progress", [0.0, 0.15, 0.25, 0.35, 0.5])
def test_each_function_writes_what_its_touch_declares_and_no_more(model, edit, progress):
    roles = [(b, g, g) for b in ("source", "target") for g in ("uncond", "cond", "perturbed")]
    options = {"cross_replace": 0.4, "word_replace": (0.2,), "words": ("dog",), "self_replace": 0.3}
    control, tokens = p2p(edit, **options), len(edit.target.spans)
    for site in (site for site in model.core.sites if site.kind != "resnet"):
        maps = Maps((i, torch.rand(2, 16, tokens).softmax(-1)) for i in range(6))
        q, k = torch.rand(6, 2, 16, 4), torch.rand(6, 2, 16, 4)
        before, rows = dict(maps), (q.clone(), k.clone())
        for act in control.active(site, progress, ("probs",)):
            act(SiteCall(site, roles, probs=maps))
        for act in control.active(site, progress, ("q", "k", "v", "qk", "kv")):
            act(SiteCall(site, roles, q=q, k=k))
        crossed, selfed = site.kind == "cross" and progress < 0.4, site.kind == "self" and progress < 0.3
        columns = (maps[4] != before[4]).any(0).any(0).nonzero().flatten().tolist()
        named = edit.target.positions("dog")
        assert set(maps.written) == ({4} if crossed else set())
        assert columns == [n for n in range(tokens) if crossed and (progress < 0.2 or n not in named)]
        for now, then in zip((q, k), rows, strict=True):
            changed = [i for i in range(6) if not torch.equal(now[i], then[i])]
            assert changed == ([4] if selfed else [])


def test_edict_shares_maps_in_both_predictions_of_a_step(model, edit, x):
    rule, step = Edict(), STEPS[0]

    def walk(*controls):
        asks = {
            branch: rule(rule.begin(x[branch]), step, predictor(cfg(), model, toward, edit.negative))
            for branch, toward in (("source", edit.source), ("target", edit.target))
        }
        executor, task = Executor(), Task(lambda: together(attention=controls, step=step, **asks))
        executor.run([task])
        assert [call.rows for call in executor.calls] == [4, 4]
        return task.result

    acted, plain = walk(p2p(edit)), walk()
    assert torch.equal(acted["source"], plain["source"])
    for latent in range(2):
        assert far(acted["target"][latent], plain["target"][latent]) > 1e-4


async def perturbed(model, x, level, prompt, negative):
    """Perturbed-attention guidance, arXiv:2403.17377: away from a row whose pixels see themselves alone."""

    def alone(attn: SiteCall) -> None:
        for i in attn.rows("perturbed"):
            attn.out[i] = attn.v[i]

    blind = AttentionControl(((Touch("self", "replace", "out", rows="perturbed"), alone),))
    rows = {"cond": model(x, level, prompt), "perturbed": model(x, level, prompt, role="perturbed")}
    pred = await together(attention=(blind,), **rows)
    return pred["perturbed"].toward(pred["cond"], 3.0)


def test_a_guidance_with_attention_of_its_own_goes_on_inside(model, edit, x):
    alone = predicted(model, edit, x, guidance=perturbed)
    idle = predicted(model, edit, x, p2p(edit, **NOTHING), guidance=perturbed)
    acted = predicted(model, edit, x, p2p(edit), guidance=perturbed)
    for branch, pair in alone.items():
        assert far(idle[branch], pair) < 1e-4
    assert torch.equal(acted["source"], idle["source"])
    assert far(acted["target"], idle["target"]) > 1e-3


def test_the_check_reads_where_it_acts(model):
    cards = registry.load([Plugin("retouch_methods", "retouch_methods")])
    card = cards.find("attend", "p2p")
    assert card is not None
    assert all(option.doc for option in card.options)
    options = {option.parameter: option.default for option in card.options}
    bound = [touch.bound(options) for touch in card.touches]
    assert [(touch.kind, touch.what, touch.until) for touch in bound] == [
        ("cross", "probs", 0.8),
        ("cross", "probs", 0.0),
        ("self", "qk", 0.4),
    ]
    mutual = Touch("self", "replace", "kv", start=0.08)
    assert clashes([("p2p", bound), ("other", [mutual])], model.core.sites)
    assert not clashes([("p2p", bound), ("other", [replace(mutual, start=0.4)])], model.core.sites)


def test_words_that_cannot_be_meant_are_refused(edit):
    with pytest.raises(ValueError, match="reads no 'horse'"):
        p2p(edit, words=("horse",))
    with pytest.raises(ValueError, match="reads no 'horse'"):
        p2p(replace(edit, weights=(("horse", 2.0),)))
