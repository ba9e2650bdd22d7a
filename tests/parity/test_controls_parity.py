"""MasaCtrl, Plug-and-Play, LEDITS++ and pix2pix-zero against naive transcriptions on a network of equal weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.attention import AttentionControl
from retouch.core.awaited.combinators import together
from retouch.core.declared.touches import Touch
from retouch.core.denoiser import Denoiser
from retouch.core.values import Mask
from retouch.run.executor import run
from retouch.testing.tiny import CELLS, CHANNELS, Draws, TinyTexts, schedule, tiny_core
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.p2p import p2p
from retouch_methods.attend.pnp_features import pnp_features
from retouch_methods.guide.pix2pix_zero import pix2pix_zero
from retouch_methods.guide.semantic import semantic
from retouch_methods.invert.ddim import ddim

STEPS = 10
ROWS = (("source", "uncond"), ("target", "uncond"), ("source", "cond"), ("target", "cond"))
Row = tuple[str, str]
Change = Callable[[str, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class Plain:
    """Attention with every map made and kept, after whoever wants to has changed q, k and v."""

    def __init__(self, name: str, change: Change | None, kept: dict[str, Tensor], masks: Tensor | None = None) -> None:
        self.name, self.change, self.kept, self.masks = name, change, kept, masks

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            rows.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for rows in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        if self.change and encoder_hidden_states is None:
            q, k, v = self.change(self.name, q, k, v)
        scores = q @ k.transpose(-1, -2) * attn.scale
        maps = scores.softmax(-1)
        out = maps @ v
        if self.masks is not None and encoder_hidden_states is None and "up_blocks" in self.name:
            inside = self.masks[None, None, :, None]
            lowest = torch.finfo(scores.dtype).min
            front = scores.masked_fill(~self.masks[None, None, None, :], lowest).softmax(-1) @ v
            back = scores.masked_fill(self.masks[None, None, None, :], lowest).softmax(-1) @ v
            out[1::2] = torch.where(inside, front, back)[1::2]
        if encoder_hidden_states is not None:
            self.kept[self.name] = maps
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


class Bench:
    """An edit, its latents, and the same weights twice."""

    def __init__(self) -> None:
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        core = tiny_core()
        self.plain = UNet2DConditionModel.from_config(core.module.config)
        self.plain.load_state_dict(core.module.state_dict())
        self.model = Denoiser(core)
        draws = Draws(3)
        self.edit, self.latents, self.steps = draws.edit(), draws.latents(), schedule(STEPS)
        self.x = {branch: draws.tensor(CHANNELS, CELLS, CELLS) for branch in ("source", "target")}

    def ours(self, step: int, *controls) -> dict[Row, Tensor]:
        noisy, edit = self.steps.steps[step].noisy, self.edit

        def guided(branch, towards):
            uncond = self.model(self.x[branch], noisy, edit.negative, role="uncond")
            return together(uncond=uncond, cond=self.model(self.x[branch], noisy, towards))

        branches = {"source": guided("source", edit.source), "target": guided("target", edit.target)}
        (found,) = run(together(attention=controls, step=self.steps.steps[step], **branches))
        return {(branch, role): found[branch][role].eps for branch, role in ROWS}

    def processors(self, change: Change | None = None, masks: Tensor | None = None) -> dict[str, Tensor]:
        """Put plain attention everywhere; the maps that it will keep."""
        kept: dict[str, Tensor] = {}
        names = self.plain.attn_processors
        self.plain.set_attn_processor({name: Plain(name, change, kept, masks) for name in names})
        return kept

    def naive(
        self, step: int, change: Change | None = None, masks: Tensor | None = None
    ) -> dict[tuple[str, str], Tensor]:
        self.processors(change, masks)
        prompts = {"source": self.edit.source, "target": self.edit.target}
        context = [prompts[b].embeds if role == "cond" else self.edit.negative.embeds for b, role in ROWS]
        with torch.no_grad():
            out = self.forward(torch.stack([self.x[b] for b, _ in ROWS]), torch.stack(context), step)
        return dict(zip(ROWS, out, strict=True))

    def forward(self, x: Tensor, context: Tensor, step: int) -> Tensor:
        time = float(self.steps.steps[step].noisy.timestep)
        return self.plain(x, torch.full((len(x),), time), encoder_hidden_states=context).sample


@pytest.fixture
def bench():
    return Bench()


def close(ours, naive):
    for row in ROWS:
        torch.testing.assert_close(ours[row], naive[row], rtol=0, atol=1e-5, msg=str(row))


def swapped(name: str, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Batch of [source, target] without the prompt, then with it: keys and values of the source for both."""
    if "up_blocks" in name:
        k, v = k.clone(), v.clone()
        k[1], k[3], v[1], v[3] = k[0], k[2], v[0], v[2]
    return q, k, v


def test_masactrl_equals_naive_hooks_from_its_first_step_on(bench):
    control = masactrl(bench.latents, start=0.2)
    plain = bench.ours(1)
    assert all(torch.equal(bench.ours(1, control)[row], plain[row]) for row in ROWS)
    acted = bench.ours(2, control)
    close(acted, bench.naive(2, swapped))
    assert all(torch.equal(acted[row], bench.ours(2)[row]) for row in ROWS[::2]), "the source is left alone"
    assert float((acted[ROWS[3]] - bench.ours(2)[ROWS[3]]).abs().max()) > 1e-3


def test_masactrl_with_a_mask_keeps_inside_and_outside_apart(bench):
    area = torch.zeros(CELLS, CELLS)
    area[2:6, 1:5] = 1
    control = masactrl(bench.latents, Mask(area, scale=4), start=0.0, masked=True)
    close(bench.ours(3, control), bench.naive(3, swapped, area.flatten() > 0.5))


INJECTED = re.compile(r"up_blocks\.1\.attentions\.[01]")  # of this small network the later half


@pytest.mark.parametrize("rows", ["own", "unconditional"])
def test_plug_and_play_equals_naive_hooks(bench, rows):
    sources = {1: 0, 3: 2} if rows == "own" else {1: 0, 3: 0}

    def queries(name, q, k, v):
        if INJECTED.search(name):
            q, k = q.clone(), k.clone()
            for target, source in sources.items():
                q[target], k[target] = q[source], k[source]
        return q, k, v

    def features(_module, _inputs, out):
        out = out.clone()
        for target, source in sources.items():
            out[target] = out[source]
        return out

    block = bench.plain.up_blocks[1].resnets[1].conv2
    hook = block.register_forward_hook(features)
    control = pnp_features(layout=0.5, features=0.8, rows=rows)
    close(bench.ours(4, control), bench.naive(4, queries))
    close(bench.ours(7, control), bench.naive(7))  # the queries' window is over, the features' is not
    hook.remove()
    close(bench.ours(8, control), bench.naive(8))


@pytest.mark.parametrize(("layout", "features", "counts"), [(0.5, 0.8, (25, 40)), (0.51, 0.81, (26, 41))])
def test_plug_and_plays_windows_are_those_of_either_release(layout, features, counts):
    """Timesteps of the first int(50 b) steps in the code for diffusers; steps up to and with 25 and 40 in the first."""
    control = pnp_features(layout=layout, features=features)
    walk = schedule(50)
    assert tuple(sum(touch.during(step.progress) for step in walk) for touch, _ in control.acts) == counts


def smoothed(maps: Tensor) -> Tensor:
    """The 3x3 Gaussian of the authors' code."""
    taps = [math.exp(-(((i - 1) / (2 * 0.5)) ** 2)) for i in range(3)]
    kernel = torch.tensor([[a * b for b in taps] for a in taps])
    padded = F.pad(maps[None, None], (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, (kernel / kernel.sum())[None, None])[0, 0]


@pytest.mark.parametrize("mask", ["both", "attention", "noise", "none"])
@pytest.mark.parametrize("step", [0, 6])
@pytest.mark.parametrize("base", ["empty", "source"])
def test_semantic_guidance_equals_the_pipelines_arithmetic(bench, mask, step, base):
    texts = TinyTexts()
    hat, snow = run(texts.prompt("a hat"), texts.prompt("snow"))
    options = {"add": ("a hat",), "remove": ("snow",), "mask": mask, "scale": 1, "quantile": 0.8, "guidance": 4.0}
    (guide,) = run(semantic(bench.edit, texts, base=base, **options))
    level, x = bench.steps.steps[step].noisy, bench.x["target"]
    (ours,) = run(guide(bench.model, x, level, bench.edit.target, bench.edit.negative))
    kept = bench.processors()
    context = torch.stack([bench.edit.negative.embeds, hat.embeds, snow.embeds, bench.edit.source.embeds])
    with torch.no_grad():
        uncond, *concepts, source = bench.forward(torch.stack([x] * 4), context, step)
    unedited = {"empty": uncond, "source": source}[base]
    eps = unedited.clone()
    full = [maps for name, maps in kept.items() if maps.shape[2] == CELLS * CELLS]
    for i, (prompt, sign, concept) in enumerate(zip((hat, snow), (1, -1), concepts, strict=True), 1):
        delta = sign * 4.0 * (concept - uncond)
        words = [k for k, (a, b) in enumerate(prompt.spans) if a < b]
        seen = torch.cat([maps[i] for maps in full]).mean(0)[:, words].sum(-1).unflatten(0, (CELLS, CELLS))
        seen = smoothed(seen)
        attended = (seen >= torch.quantile(seen, 0.8)).float()
        strength = delta.abs().sum(0)
        strong = (strength >= torch.quantile(strength, 0.8)).float()
        early = level.timestep > 800
        chosen = {"both": attended if early else attended * strong, "attention": attended, "noise": strong}
        eps += delta * chosen.get(mask, torch.ones(()))
    torch.testing.assert_close(ours.eps, eps, rtol=0, atol=2e-5)
    (source,) = run(guide(bench.model, x, level, bench.edit.source, bench.edit.negative))
    torch.testing.assert_close(source.eps, unedited, rtol=0, atol=1e-5)


def prompts(bench):
    """What the engine gives the stage: the prompts by themselves, and the edit."""
    return bench.edit.source, bench.edit.negative, bench.edit


def test_pix2pix_zero_takes_the_gradient_of_the_maps(bench):
    (pivot,) = run(ddim(bench.latents, bench.edit.source, bench.edit.negative, bench.model, bench.steps))
    given = (bench.latents, *prompts(bench), bench.model, bench.steps, TinyTexts())
    (guide,) = run(pix2pix_zero(*given, lr=0.3, guidance=5.0))
    step = 4
    level, edit = bench.steps.steps[step].noisy, bench.edit
    (ours,) = run(guide(bench.model, bench.x["target"], level, edit.target, edit.negative))
    kept = bench.processors()
    with torch.no_grad():
        bench.forward(pivot.states[step, 0][None], edit.source.embeds[None], step)
    wanted = dict(kept)
    x = bench.x["target"].clone().requires_grad_()
    bench.forward(x[None], edit.target.embeds[None], step)
    loss = sum(((kept[name] - wanted[name])[0] ** 2).sum((1, 2)).mean() for name in wanted)
    x = (x - 0.3 * torch.autograd.grad(loss, x)[0]).detach()
    with torch.no_grad():
        away, toward = bench.forward(torch.stack([x, x]), torch.stack([edit.source.embeds, edit.target.embeds]), step)
    torch.testing.assert_close(ours.eps, away + 5.0 * (toward - away), rtol=0, atol=5e-5)
    assert float((bench.x["target"] - x).abs().max()) > 1e-4


def test_pix2pix_zero_edits_along_the_mean_of_sentences(bench):
    texts = TinyTexts()
    sides = {"before": ("a cat", "one cat"), "after": ("a dog", "one dog")}
    (guide,) = run(pix2pix_zero(bench.latents, *prompts(bench), bench.model, bench.steps, texts, lr=0.0, **sides))
    means = [torch.stack([p.embeds for p in run(*map(texts.prompt, sides[s]))]).mean(0) for s in ("before", "after")]
    level, x = bench.steps.steps[2].noisy, bench.x["target"]
    (ours,) = run(guide(bench.model, x, level, bench.edit.target, bench.edit.negative))
    bench.processors()
    moved = bench.edit.source.embeds + means[1] - means[0]
    with torch.no_grad():
        away, toward = bench.forward(torch.stack([x, x]), torch.stack([bench.edit.source.embeds, moved]), 2)
    torch.testing.assert_close(ours.eps, away + 5.0 * (toward - away), rtol=0, atol=5e-5)


@pytest.mark.parametrize("control", ["masactrl", "pnp_features"])
def test_equal_rows_stay_equal(bench, control):
    made = masactrl(bench.latents, start=0.0) if control == "masactrl" else pnp_features()
    bench.x["source"] = bench.x["target"]
    bench.edit = type(bench.edit)(bench.edit.target, bench.edit.target, bench.edit.negative)
    acted = bench.ours(2, made)
    assert torch.equal(acted["source", "cond"], acted["target", "cond"])
    assert torch.equal(acted["source", "uncond"], acted["target", "uncond"])


def test_controls_on_disjoint_steps_compose_to_each_in_its_own(bench):
    early = p2p(bench.edit, cross_replace=0.4, self_replace=0.4)
    late = masactrl(bench.latents, start=0.4)
    for step, alone in ((3, early), (4, late)):
        both, one = bench.ours(step, early, late), bench.ours(step, alone)
        assert all(torch.equal(both[row], one[row]) for row in ROWS)
        assert not torch.equal(both[ROWS[3]], bench.ours(step)[ROWS[3]])


def test_the_network_is_the_same_bits_after_every_run_even_one_that_raised(bench):
    before = {name: weight.clone() for name, weight in bench.model.core.module.state_dict().items()}
    hooks = sum(len(module._forward_hooks) for module in bench.model.core.module.modules())

    def fails(attn):
        raise RuntimeError("a control that fails")

    broken = AttentionControl(((Touch("self", "replace", "kv"), fails),))
    plain = bench.ours(2)
    for control in (masactrl(bench.latents, start=0.0), pnp_features(), p2p(bench.edit)):
        bench.ours(2, control)
    with pytest.raises(RuntimeError, match="a control that fails"):
        bench.ours(2, broken)
    after = bench.model.core.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert sum(len(module._forward_hooks) for module in bench.model.core.module.modules()) == hooks
    assert all(torch.equal(bench.ours(2)[row], plain[row]) for row in ROWS)
