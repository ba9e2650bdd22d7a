"""Blends and maps are those of transcriptions: of the papers, and of their code where it differs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from retouch.api import AttentionMaps, Blend, Image, Mask, SameToTheModel, SourceImage, Trajectory
from retouch.core.awaited.combinators import together
from retouch.core.declared.touches import Touch
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch.testing.worlds import tiny_world
from retouch_methods.blend import pixel as pixels
from retouch_methods.blend.latent import latent
from retouch_methods.blend.local import local
from retouch_methods.blend.pixel import membrane
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.mask.attention import attention
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import at_once

pixel = at_once(pixels.pixel)

WORLD = replace(tiny_world(steps=6), guidance=cfg(guidance=3.0))
HALF = (torch.arange(64).view(8, 8) % 3 == 0).float()
EMPTY, FULL = torch.zeros(8, 8), torch.ones(8, 8)


@pytest.fixture(scope="module")
def walk():
    return run(WORLD.call(ddim, pinned="always"))[0]


def edited(trajectory: Trajectory, *blends: Blend, world=WORLD):
    return run(world.call(sample, trajectory=trajectory, blend=blends))[0].data


def guided(world, x, level, prompt):
    """Classifier-free guidance of one latent by the bare network."""
    with torch.no_grad():
        out = [
            world.model.core.module(x[None], torch.tensor([float(level.timestep)]), p.embeds[None]).sample[0]
            for p in (world.edit.negative, prompt)
        ]
    return out[0] + 3.0 * (out[1] - out[0])


def naive(world, states, mask_of_step, *, late=False):
    """DiffEdit's decoding: y <- M y + (1 - M) x_t, with x_t of the level reached, or of the level before."""
    x = states[0]
    for i, step in enumerate(world.schedule):
        x = step.carry(x, step.noisy.seen_as(x, guided(world, x, step.noisy, world.edit.target)))
        kept, mask = states[i if late else i + 1], mask_of_step(i)
        x = mask * x + (1 - mask) * kept
    return x


@pytest.mark.parametrize("level", ["reached", "one_late"])
def test_latent_blending_is_that_of_a_transcription(walk, level):
    out = edited(walk, WORLD.call(latent, mask=Mask(HALF, 4), level=level))
    wanted = naive(WORLD, walk.states[:, 0], lambda _: HALF, late=level == "one_late")
    torch.testing.assert_close(out, wanted, rtol=0, atol=2e-4)


def test_one_level_late_leaves_the_last_levels_noise_in_the_background(walk):
    kept = HALF == 0
    on_time, late = (edited(walk, WORLD.call(latent, mask=Mask(HALF, 4), level=x)) for x in ("reached", "one_late"))
    assert torch.equal(on_time[:, kept], WORLD.latents.data[:, kept])
    assert torch.equal(late[:, kept], walk.states[-2, 0][:, kept])


def test_one_level_late_holds_for_a_source_that_walks_by_itself(walk):
    """An unpinned source is evaluated, and its state before the step is what is late."""
    free = replace(walk, pinned=False)
    seen: list[torch.Tensor] = []
    spy = Blend(lambda state, source, step, maps: (seen.append(source), state)[1])
    late = edited(free, spy, WORLD.call(latent, mask=Mask(EMPTY, 4), level="one_late"))
    assert torch.equal(late, seen[-2][0])


@pytest.mark.parametrize("shrink", [1, 3])
def test_a_shrinking_mask_is_dilated_by_less_and_less(walk, shrink):
    """Blended Latent Diffusion: squares of 3 + 2 i for i = n - 1 .. 0, then the mask, for equal parts of the walk."""
    point = torch.zeros(8, 8)
    point[3, 4] = 1

    def mask_of_step(i):
        squares = [3 + 2 * i for i in range(shrink - 1, -1, -1)] + [1]
        square = squares[i * len(squares) // len(WORLD.schedule)]
        return F.max_pool2d(point[None, None], square, 1, square // 2)[0, 0]

    out = edited(walk, WORLD.call(latent, mask=Mask(point, 4), shrink=shrink))
    torch.testing.assert_close(out, naive(WORLD, walk.states[:, 0], mask_of_step), rtol=0, atol=2e-4)
    assert not torch.equal(out, edited(walk, WORLD.call(latent, mask=Mask(point, 4))))
    assert torch.equal(out[:, point == 0], WORLD.latents.data[:, point == 0])


@pytest.mark.parametrize("options", [{}, {"shrink": 2}, {"level": "one_late"}])
def test_latent_blending_keeps_the_law_of_blends(options):
    laws.blend_law(latent, **options)


@pytest.mark.parametrize("options", [{}, {"shrink": 2}])
def test_an_empty_mask_gives_the_source_and_a_full_one_the_edit(walk, options):
    assert torch.equal(edited(walk, WORLD.call(latent, mask=Mask(EMPTY, 4), **options)), WORLD.latents.data)
    assert torch.equal(edited(walk, WORLD.call(latent, mask=Mask(FULL, 4), **options)), edited(walk))


# ------------------------------------------------------------ local


def words_of(prompt, *words):
    marked = torch.zeros(7)
    marked[[at for word in words for at in prompt.positions(word)]] = 1
    return marked


def naive_local(maps, words, x, threshold, keep=None):
    """get_mask and __call__ of the authors' LocalBlend.  maps: [2, heads and layers, h, w, tokens], x: [2, C, h, w]"""

    def get_mask(alpha, use_pool):
        heat = (maps * alpha[:, None, None, None]).sum(-1).mean(1)[:, None]
        if use_pool:
            heat = F.max_pool2d(heat, (3, 3), (1, 1), padding=(1, 1))
        heat = F.interpolate(heat, size=x.shape[2:])
        heat = heat / heat.max(2, keepdims=True)[0].max(3, keepdims=True)[0]
        mask = heat.gt(threshold)
        return mask[:1] + mask

    mask = get_mask(words, True)
    if keep is not None:
        mask = mask * ~get_mask(keep, False)
    return (x[:1] + mask.to(x) * (x - x[:1]))[1]


@pytest.mark.parametrize("threshold", [0.3, 0.8])
@pytest.mark.parametrize("keep", [(), ("white",)])
def test_local_blending_is_that_of_the_authors(threshold, keep):
    generator = torch.Generator().manual_seed(3)
    maps = torch.rand(2, 6, 8, 8, 7, generator=generator) * torch.linspace(0, 1, 8)[:, None] ** 2
    source, state = torch.randn(2, 4, 8, 8, generator=generator)
    recorded = {(b, "cond"): maps[i].mean(0).flatten(0, 1) * 5 for i, b in enumerate(("source", "target"))}
    blend = WORLD.call(local, words=("cat", "dog"), keep=keep, threshold=threshold, start=0.0)
    out = blend.apply(state[None], source[None], WORLD.schedule.steps[0], AttentionMaps(recorded, 5))[0]
    words, kept = (
        torch.stack([words_of(WORLD.edit.source, *named), words_of(WORLD.edit.target, *named)])
        for named in (("cat", "dog"), keep)
    )
    wanted = naive_local(maps, words, torch.stack((source, state)), threshold, kept if keep else None)
    torch.testing.assert_close(out, wanted)
    assert 0 < (out == source).all(0).float().mean() < 1


def test_the_words_that_change_are_found_in_the_edit():
    named, found = (WORLD.call(local, words=words, threshold=0.97) for words in (("cat", "dog"), ()))
    maps = AttentionMaps({(b, "cond"): torch.rand(64, 7) for b in ("source", "target")}, 1)
    state, source = Draws(1).tensor(2, 1, 4, 8, 8)
    late = WORLD.schedule.steps[-1]
    assert torch.equal(*(blend.apply(state, source, late, maps) for blend in (named, found)))


def test_a_threshold_of_one_keeps_the_source_and_of_nothing_the_edit(walk):
    everything, nothing = (WORLD.call(local, threshold=at, start=0.0) for at in (0.0, 1.0))
    assert torch.equal(edited(walk, nothing), WORLD.latents.data)
    spy = Blend(lambda state, source, step, maps: state, everything.reads)  # joins the same rows, and changes nothing
    assert torch.equal(edited(walk, everything), edited(walk, spy))


def test_where_no_word_changes_it_asks_for_words():
    with pytest.raises(SameToTheModel, match="word by word"):
        WORLD.null_edit().call(local, start=0.0)


@pytest.mark.thorough
def test_every_option_of_local_blending_counts(walk):
    def made(**options):
        return edited(walk, WORLD.call(local, **{"threshold": 0.97, "start": 0.0, **options}))

    plain = made()
    for options in ({"threshold": 0.9}, {"start": 1.0}, {"words": ("white",)}, {"keep": ("white",)}, {"side": 1}):
        assert not torch.equal(made(**options), plain), options


def test_local_blending_refuses_words_of_neither_prompt():
    with pytest.raises(ValueError, match="no 'hat' in 'a white cat' and 'a white dog'"):
        WORLD.call(local, words=("hat",))


# ------------------------------------------------------------ maps of words


def test_the_map_of_a_word_is_the_mean_over_steps_and_sites():
    """By recordings of one scale at a time, each step by itself, and torch's own interpolation."""
    options = {"words": ("cat",), "levels": 3, "threshold": 0.0}
    (mask,) = run(WORLD.call(attention, **options))
    steps = [WORLD.schedule.steps[i] for i in (1, 3, 5)]
    draws = WORLD.noise.normal(3, like=WORLD.latents.data)
    heat, sites = torch.zeros(8, 8), 0
    for scale in (1, 2):
        touch = Touch("cross", "read", "maps", scale=(scale, scale))
        for step, eps in zip(steps, draws, strict=True):
            x = step.noisy.mix(WORLD.latents.data, eps)
            asked = together(record=[touch], here=WORLD.model(x, step.noisy, WORLD.edit.source))
            maps = run(asked)[0].maps[0]
            seen = maps.of("here")[:, WORLD.edit.source.positions("cat")[0]].view(1, 1, 8 // scale, 8 // scale)
            heat += F.interpolate(seen, size=(8, 8), mode="bilinear")[0, 0] * maps.count
            sites += maps.count
    heat /= sites
    torch.testing.assert_close(mask.data, (heat - heat.min()) / (heat.max() - heat.min()), atol=1e-3, rtol=0)


# ------------------------------------------------------------ pixels


def test_the_membrane_solves_laplaces_equation():
    """By a dense solve of the same five-point equations, the picture's own edge being free."""
    generator = torch.Generator().manual_seed(0)
    gap, inside = torch.randn(3, 9, 11, generator=generator), torch.rand(9, 11, generator=generator) < 0.6
    cells = [tuple(at) for at in inside.nonzero().tolist()]
    matrix, right = torch.zeros(len(cells), len(cells)).double(), torch.zeros(len(cells), 3).double()
    for row, (i, j) in enumerate(cells):
        for near in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if 0 <= near[0] < 9 and 0 <= near[1] < 11:
                matrix[row, row] += 1
                if near in cells:
                    matrix[row, cells.index(near)] -= 1
                else:
                    right[row] += gap[:, near[0], near[1]]
    solved = torch.linalg.solve(matrix, right)
    (found,) = run(membrane(gap, inside))
    torch.testing.assert_close(found[:, inside].T.double(), solved.double(), rtol=0, atol=1e-4)
    assert not found[:, ~inside].any()


def test_poisson_takes_the_edits_contrasts_and_the_sources_light():
    generator = torch.Generator().manual_seed(1)
    source = SourceImage(torch.rand(3, 16, 16, generator=generator))
    lighter = Image(source.data + torch.tensor([0.3, 0.1, -0.2])[:, None, None])
    mask = torch.zeros(16, 16)
    mask[4:12, 4:12] = 1
    out = pixel(lighter, source, Mask(mask), seam="poisson")
    torch.testing.assert_close(out.data, source.data, rtol=0, atol=1e-4)  # the same picture in another light is no edit
    assert torch.equal(out.data[:, mask == 0], source.data[:, mask == 0])
    pasted = pixel(lighter, source, Mask(mask), seam="paste")
    assert torch.equal(pasted.data[:, mask == 1], lighter.data[:, mask == 1])


@pytest.mark.parametrize("seam", ["paste", "poisson"])
def test_an_empty_mask_gives_the_sources_pixels_and_a_full_one_the_edits(seam):
    source, edit = (Image(torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(i))) for i in range(2))
    assert torch.equal(pixel(edit, source, Mask(EMPTY), seam=seam).data, source.data)
    assert torch.equal(pixel(edit, source, Mask(FULL), seam=seam).data, edit.data)
