"""MasaCtrl with two masks, as the authors' MutualSelfAttentionControlMask has it: in float64, on coarse sites too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.core.awaited.combinators import together
from retouch.core.denoiser import Denoiser
from retouch.core.values import Mask
from retouch.graph.nodes import Picture
from retouch.models.kit.unet import UNet
from retouch.models.kit.unet_sites import attention_sites
from retouch.models.network.core import NetworkCore
from retouch.paths import folder
from retouch.plugins import registry
from retouch.run.executor import run
from retouch.testing.tiny import CELLS, CHANNELS, WIDTH, Draws, schedule
from retouch_methods.attend.masactrl import masactrl

ROWS = (("source", "uncond"), ("target", "uncond"), ("source", "cond"), ("target", "cond"))


def network():
    """Decoder sites at full and at half resolution."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    with torch.random.fork_rng():
        torch.manual_seed(1)
        unet = UNet2DConditionModel(
            sample_size=CELLS,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            layers_per_block=1,
            block_out_channels=(32, 32, 64),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=8,
            norm_num_groups=8,
        )
    return torch.nn.Module.to(unet, torch.float64)


class Masked:
    """Their attention, rows [uncond source, uncond target, cond source, cond target]; masks are interpolated."""

    def __init__(self, name: str, mask_s: Tensor, mask_t: Tensor) -> None:
        self.name, self.mask_s, self.mask_t = name, mask_s, mask_t

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            rows.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for rows in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        out = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1) @ v
        if encoder_hidden_states is None and "up_blocks" in self.name:
            side = int(q.shape[2] ** 0.5)
            source, target = (
                F.interpolate(mask[None, None], (side, side)).flatten() for mask in (self.mask_s, self.mask_t)
            )
            lowest = torch.finfo(q.dtype).min
            for row in (1, 3):
                sim = q[row] @ k[row - 1].transpose(-1, -2) * attn.scale
                background = (sim + source.masked_fill(source == 1, lowest)).softmax(-1) @ v[row - 1]
                thing = (sim + source.masked_fill(source == 0, lowest)).softmax(-1) @ v[row - 1]
                out[row] = thing * target[:, None] + background * (1 - target[:, None])
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


class Bench:
    """The same weights twice, an edit, and latents of both branches."""

    def __init__(self) -> None:
        unet, self.plain = network(), network()
        self.model = Denoiser(NetworkCore(UNet(unet), "epsilon", attention_sites(unet.config)))
        draws = Draws(3, torch.float64)
        self.edit, self.latents, self.step = draws.edit(), draws.latents(), schedule(10).steps[3]
        self.x = {branch: draws.tensor(CHANNELS, CELLS, CELLS) for branch in ("source", "target")}

    def ours(self, *controls) -> dict[tuple[str, str], Tensor]:
        def guided(branch, towards):
            x, noisy = self.x[branch], self.step.noisy
            uncond = self.model(x, noisy, self.edit.negative, role="uncond")
            return together(uncond=uncond, cond=self.model(x, noisy, towards))

        branches = {"source": guided("source", self.edit.source), "target": guided("target", self.edit.target)}
        (found,) = run(together(attention=controls, step=self.step, **branches))
        return {(branch, role): found[branch][role].eps for branch, role in ROWS}

    def naive(self, mask_s: Tensor, mask_t: Tensor) -> dict[tuple[str, str], Tensor]:
        names = self.plain.attn_processors
        self.plain.set_attn_processor({name: Masked(name, mask_s, mask_t) for name in names})
        prompts = {"source": self.edit.source, "target": self.edit.target}
        context = [prompts[branch].embeds if role == "cond" else self.edit.negative.embeds for branch, role in ROWS]
        x, times = torch.stack([self.x[branch] for branch, _ in ROWS]), torch.full((4,), self.step.noisy.timestep)
        with torch.no_grad():
            out = self.plain(x, times.double(), encoder_hidden_states=torch.stack(context)).sample
        return dict(zip(ROWS, out, strict=True))


@pytest.fixture(scope="module")
def bench():
    return Bench()


def area(top: int, left: int, *, soft: float = 1.0) -> Tensor:
    """A thing of odd size at an odd place, so that the nearest cell and the greatest differ on coarse sites."""
    mask = torch.zeros(CELLS, CELLS, dtype=torch.float64)
    mask[top : top + 3, left : left + 3] = soft
    return mask


@pytest.mark.parametrize(
    ("was", "will"), [(area(1, 1), area(1, 1)), (area(1, 1), area(4, 5)), (area(3, 2), area(2, 3, soft=0.25))]
)
def test_what_is_there_looks_up_what_was_elsewhere_as_in_the_authors_code(bench, was, will):
    control = masactrl(bench.latents, Mask(was, 4), Mask(will, 4), start=0.0, masked=True)
    acted, wanted = bench.ours(control), bench.naive(was, will)
    for row in ROWS:
        torch.testing.assert_close(acted[row], wanted[row], rtol=0, atol=1e-10, msg=str(row))
    free = bench.ours(masactrl(bench.latents, start=0.0))
    assert (acted[ROWS[3]] - free[ROWS[3]]).abs().max() > 1e-6


def test_without_a_second_mask_the_thing_stays_where_it_was(bench):
    one, two = (
        masactrl(bench.latents, Mask(area(1, 1), 4), *more, start=0.0, masked=True)
        for more in ((), (Mask(area(1, 1), 4),))
    )
    assert all(torch.equal(bench.ours(one)[row], bench.ours(two)[row]) for row in ROWS)


def test_the_network_of_this_test_has_decoder_sites_of_two_scales(bench):
    ups = {site.scale for site in bench.model.core.sites if site.kind == "self" and site.place == "up"}
    assert ups == {1, 2}


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_mask_without_two_sides_keeps_nothing_apart(bench, value):
    mask = Mask(torch.full((CELLS, CELLS), value, dtype=torch.float64), 4)
    masked = bench.ours(masactrl(bench.latents, mask, start=0.0, masked=True))
    free = bench.ours(masactrl(bench.latents, start=0.0))
    for row in ROWS:
        torch.testing.assert_close(masked[row], free[row], rtol=0, atol=1e-10)


def test_a_recipe_names_the_second_mask():
    head = 'there = mask box left=50%\ninvert ddim "cat"->"dog" | mask box right=50% | attend masactrl masked=true'
    cat = Picture(folder("recipes") / "pictures" / "cat_meadow.png", 0, "an orange cat in a meadow")
    world = Environment(registry.load(), folder("recipes"), (cat,))

    def boxes(recipe):
        checked = check(recipe, world)
        assert not checked.errors, checked.errors
        (control,) = (node for node in checked.graphs[0].nodes if node.card.family == "attend")
        return [checked.graphs[0].node(control.inputs[port].id).options["left"] for port in ("mask", "destination")]

    assert boxes(f"{head} destination=there | blend latent") == [0.0, 0.5]
    assert boxes(f"{head} | blend latent\nthere") == [0.0, 0.0]
