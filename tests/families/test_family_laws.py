"""The laws of stages, on each family, with the stages as they are: nobody knows which model it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from retouch.api import AttentionControl, Touch
from retouch.core.awaited.combinators import together
from retouch.models.network import seam
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.worlds import World
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.p2p import p2p
from retouch_methods.blend.latent import latent
from retouch_methods.blend.local import local
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.pix2pix_zero import pix2pix_zero
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.invert.null_text import null_text
from retouch_methods.mask.attention import attention as mask_attention
from retouch_methods.mask.diffedit import diffedit
from retouch_methods.sample.sample import sample
from tests.families.family_models import FamilyModel, far

CONTROLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "p2p": (p2p, {"cross_replace": 0.8, "self_replace": 0.4}),
    "p2p refined": (p2p, {"align": "refine"}),
    "masactrl": (masactrl, {"start": 0.0}),
}


@pytest.mark.crossed
@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_keeps_equal_rows_equal_moves_the_target_and_touches_no_other(model: FamilyModel, name: str):
    """Identity, touches, and that there is anything to touch."""
    stage, options = CONTROLS[name]
    world = model.world()
    assert laws.identity_law(stage, world, **options) < 2e-5
    laws.touch_law(stage, world, **options)
    acted, plain = (target(world, controls) for controls in ((world.call(stage, **options),), ()))
    assert far(acted, plain) > 1e-4


def target(world: World, controls: tuple[AttentionControl, ...]) -> torch.Tensor:
    """The target's prediction at the second step, beside the source's."""
    step, edit = world.schedule.steps[1], world.edit
    rows = together(
        attention=controls,
        step=step,
        source=together(cond=world.model(world.latents.data, step.noisy, edit.source)),
        target=together(cond=world.model(world.latents.data.flip(-1), step.noisy, edit.target)),
    )
    return run(rows)[0]["target"]["cond"].pair


def test_of_two_prompts_of_other_lengths_the_shorter_row_stays(model: FamilyModel):
    """A group fills the shorter prompt up; Qwen-Image masks that, to rounding."""
    world = model.world(target="a white dog sitting on the beach with a red hat and a blue car and a black cat on it")
    if model.name == "qwen_image":
        assert far(source(world, (world.call(p2p, align="refine"),)), source(world, ())) < 1e-6
        return
    laws.touch_law(p2p, world, align="refine")


def source(world: World, controls: tuple[AttentionControl, ...]) -> torch.Tensor:
    """The source's prediction at the second step, beside the target's if there are controls, else alone."""
    step, edit = world.schedule.steps[1], world.edit
    alone = world.model(world.latents.data, step.noisy, edit.source)
    if not controls:
        return run(alone)[0].pair
    other = world.model(world.latents.data, step.noisy, edit.target)
    return run(together(attention=controls, step=step, source=together(cond=alone), target=together(cond=other)))[0][
        "source"
    ]["cond"].pair


@pytest.mark.crossed
@pytest.mark.parametrize("controls", [(p2p,), (masactrl,), (p2p, masactrl)], ids=["p2p", "masactrl", "both"])
def test_the_source_prompt_as_target_gives_the_picture_back(model: FamilyModel, controls: tuple[Any, ...]):
    """The null law: EDICT up and down under guidance and controls, with nothing to change."""
    world = replace(model.world().null_edit(), guidance=cfg(guidance=2.0))
    trajectory = run(world.call(edict, strength=0.75))[0]
    attend = tuple(world.call(control) for control in controls)
    again = run(world.call(sample, trajectory=trajectory, attend=attend))[0]
    assert far(again.data, world.latents.data) < 2e-5


def test_null_text_brings_the_picture_nearer(model: FamilyModel):
    """Gradients go through every family's prompt, whatever else the prompt holds."""
    guided = replace(model.world().null_edit(), guidance=cfg(guidance=3.0))

    def replayed(stage: Any, **options: Any) -> float:
        trajectory = run(guided.call(stage, **options))[0]
        again = run(guided.call(sample, trajectory=trajectory))[0]
        return far(again.data, guided.latents.data)

    assert replayed(null_text, inner_steps=4) < replayed(ddim)


def test_outside_the_mask_a_blend_keeps_every_latent(model: FamilyModel):
    """A pinned inversion, both controls, and `blend latent`: the upper half has the same bits."""
    world = replace(model.world(), guidance=cfg(guidance=2.0))
    trajectory = run(world.call(ddim, pinned="always"))[0]
    attend = (world.call(p2p), world.call(masactrl, start=0.5))
    edited = run(world.call(sample, trajectory=trajectory, attend=attend, blend=(world.call(latent),)))[0].data
    outside = world.mask.on(world.latents) == 0
    assert torch.equal(edited[:, outside], world.latents.data[:, outside])
    assert far(edited, world.latents.data) > 1e-3


def test_masks_and_blends_that_read_attention_find_it(model: FamilyModel):
    """`mask attention`, `mask diffedit`, `blend local`, `pix2pix_zero`: maps of the picture's size, numbers all."""
    world = replace(model.world(), guidance=cfg(guidance=2.0))
    shape = world.latents.data.shape[-2:]
    for mask in (mask_attention, diffedit):
        options = (
            {"words": ("cat",)}
            if mask is mask_attention
            else {"maps": 2, "clamp": 1.0, "threshold": 0.8, "texts": model.texts}
        )
        made = run(world.call(mask, **options))[0]
        assert made.on(world.latents).shape == shape
        assert 0 < made.data.mean() < 1
    trajectory = run(world.call(ddim))[0]
    blended = run(
        world.call(sample, trajectory=trajectory, attend=(world.call(p2p),), blend=(world.call(local, side=4),))
    )
    moved = replace(world, guidance=run(world.call(pix2pix_zero, texts=model.texts))[0])
    guided = run(moved.call(sample, trajectory=trajectory))
    assert all(bool(torch.isfinite(each[0].data).all()) for each in (blended, guided))


def test_maps_sum_to_one_as_stages_read_them_and_after_they_are_written(model: FamilyModel, monkeypatch):
    """Each view's rows, and the whole rows of the attention that the views are of."""
    views: dict[str, float] = {}
    written: list[float] = []

    def off(maps: torch.Tensor) -> float:
        return float((maps.sum(-1) - 1).abs().max())

    def see(attn: Any) -> None:
        kind = attn.site.kind
        views[kind] = max(views.get(kind, 0.0), *(off(attn.probs[i]) for i in range(len(attn.roles))))

    class Watched(seam._Maps):
        def __setitem__(self, i: int, value: torch.Tensor) -> None:
            written.append(off(value))
            super().__setitem__(i, value)

    monkeypatch.setattr(seam, "_Maps", Watched)
    world = model.world()
    spy = AttentionControl(tuple((Touch(kind, "read", "probs", "*"), see) for kind in ("self", "cross")))
    target(world, (spy, world.call(p2p), world.call(masactrl, start=0.0, masked=True, mask=world.mask)))
    assert views.keys() == {"self", "cross"}
    assert max(views.values()) < 1e-6
    assert max(written) < 2e-6


TEXT_FIRST = ("flux_dev", "flux_schnell", "flux2_klein", "qwen_image")  # among the tokens that attend jointly


def test_views_of_joint_attention_are_the_pictures_keys_and_each_rows_own_words(model: FamilyModel, monkeypatch):
    """Asked by the picture: "self" is what it sees of itself, "cross" what it reads, each a part of the whole row."""
    if not any(site.joint for site in model.known.sites):
        return
    world = model.world(target="a white dog sitting on the beach with a red hat and a blue car and a black cat on it")
    words = [len(prompt.embeds) for prompt in (world.edit.source, world.edit.target)]
    pixels = 64 if model.name == "flux2_klein" else 16  # tokens: its cells are folded, the others' are taken by fours
    first = max(words) if model.name in TEXT_FIRST else 0
    text = 0 if model.name in TEXT_FIRST else 32 if model.name == "z_image" else pixels  # which fills up to 32
    asked: list[torch.Tensor] = []
    seen: set[str] = set()

    class Watched(seam._Maps):
        def __getitem__(self, i: int) -> torch.Tensor:
            asked.append(super().__getitem__(i))
            return asked[-1]

    def see(attn: Any) -> None:
        if not attn.site.joint:
            return
        seen.add(attn.site.kind)
        for i, count in enumerate(words):
            view, whole = attn.probs[i], asked[-1]
            keys = slice(first, first + pixels) if attn.site.kind == "self" else slice(text, text + count)
            part = whole[..., keys]
            assert view.shape[-2:] == (pixels, part.shape[-1])
            assert far(view, part / part.sum(-1, keepdim=True)) < 1e-6

    monkeypatch.setattr(seam, "_Maps", Watched)
    target(world, (AttentionControl(tuple((Touch(kind, "read", "probs", "*"), see) for kind in ("self", "cross"))),))
    assert seen == {"self", "cross"}


def test_maps_written_back_as_they_were_change_rounding_alone(model: FamilyModel):
    """A view of a block is scaled to sum to one and scaled back to the share that it had."""
    world = model.world()

    def keep(attn: Any) -> None:
        for i in range(len(attn.roles)):
            attn.probs[i] = attn.probs[i]

    control = AttentionControl(tuple((Touch(kind, "transform", "probs", "*"), keep) for kind in ("self", "cross")))
    acted, plain = target(world, (control,)), target(world, ())
    assert far(acted, plain) < 1e-5
    assert not torch.equal(acted, plain)


def test_an_early_and_a_late_half_are_halves_in_every_family(model: FamilyModel):
    """Touches by relative depth: no module's name, and each site in one of the halves."""
    halves = [Touch("self", "read", "probs", depth=depth) for depth in ((0.0, 0.5), (0.5, 1.0))]
    own = [site for site in model.known.sites if site.kind == "self"]
    counts = [sum(touch.at(site) for site in own) for touch in halves]
    assert sum(counts) == len(own)
    assert abs(counts[0] - counts[1]) <= 1
