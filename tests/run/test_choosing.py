"""Several draws of one turn, and which of them is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pil

import retouch
from retouch.api import Candidates, Image, Mask, Ranked, Turned
from retouch.core.eyes import ImageText
from retouch.run.executor import run
from retouch.testing.laws import stage_laws
from retouch.testing.worlds import TinyTurn, gaussian_world, tiny_world
from retouch_methods.draw.repeated import repeated
from retouch_methods.rank.change import change
from retouch_methods.rank.denoiser import denoiser
from retouch_methods.rank.image_text import image_text

CAT = Path(__file__).parents[2] / "recipes" / "pictures" / "cat_meadow.png"
FLOW = 'invert sdedit "cat"->"dog" strength=60% steps=3'
HEAD = "mask box left=30% top=30% | "


class Heard:
    """What a stage tells."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def tell(self, words: str) -> None:
        self.said.append(words)


def made(flow: str, **more):
    return retouch.recipe(f'model "storybook"\n{flow}')(CAT, caption="an orange cat in a meadow", **more)


def test_all_keep_the_laws() -> None:
    assert "turn_law" in stage_laws(repeated, seeds=2)
    assert "picture_law" in stage_laws(image_text, looks=2)
    assert "picture_law" in stage_laws(denoiser, looks=2)
    assert "picture_law" in stage_laws(change)


@pytest.mark.thorough
def test_draws_differ_are_repeatable_and_are_not_changed_by_more_of_them() -> None:
    flow = TinyTurn(world := tiny_world(steps=2))
    run(repeated(world.image, flow, seeds=3))
    assert [each.key for each in flow.asked] == ["draw0", "draw1", "draw2"]
    few, many = (
        retouch.recipe(f'model "storybook"\ndraw ({FLOW}) seeds={count} | rank keep=[{keep}]')(
            CAT, caption="an orange cat in a meadow"
        )
        for count, keep in ((2, "1, 2"), (3, "1, 2, 3"))
    )
    pictures = [{np.asarray(image).tobytes() for image in each.images} for each in (few, many)]
    assert len(pictures[0]) == 2
    assert len(pictures[1]) == 3
    assert pictures[0] < pictures[1]


def test_draws_share_their_calls_and_a_list_of_places_makes_them_once() -> None:
    plain, drawn = made(FLOW), made(f"draw ({FLOW}) seeds=4 | rank keep=[1, 2, 4]")
    assert drawn.cost == 4 * plain.cost
    assert len(drawn.images) == 3


def test_the_nearest_to_the_text_is_kept_and_all_scores_are_told() -> None:
    """An eye whose pictures lie where their colours do; the text lies at pure green."""
    eye = ImageText(
        4,
        lambda batch: torch.nn.functional.normalize(batch.mean((2, 3)) + 1e-6, dim=1),
        lambda text: torch.tensor([0.0, 1.0, 0.0]),
        lambda ids: ids,
    )
    colours = torch.eye(3)[[0, 1, 2]] * 0.9 + 0.05 * torch.tensor([[0, 0, 0], [0, 0, 0], [0, 2, 0.0]])
    pictures = [Image(each[:, None, None].expand(3, 8, 8).contiguous()) for each in colours]
    drawn, world = Candidates(tuple(map(Turned, pictures))), tiny_world()
    for keep, wanted in ((1, 1), (2, 2), (3, 0)):
        heard = Heard()
        (kept,) = run(image_text(drawn, world.edit.target, world.noise, heard, (eye,), keep=keep))
        assert isinstance(kept, Ranked)
        assert kept.data is pictures[wanted].data
        assert all(one is other for one, other in zip(kept.draws, pictures, strict=True))
        assert sorted(range(3), key=kept.scores.__getitem__)[kept.keep - 1] == wanted
        assert f"kept draw {wanted + 1} of 3" in heard.said[0]
    area = torch.zeros(8, 8)
    area[:4] = 1
    green_outside = pictures[0].data.clone()
    green_outside[:, 4:] = pictures[1].data[:, 4:]
    masked = Candidates((Turned(Image(green_outside)), Turned(pictures[2])), Mask(area))
    for sees, wanted in (("mask", 1), ("picture", 0)):
        (kept,) = run(image_text(masked, world.edit.target, world.noise, Heard(), (eye,), sees=sees))
        assert kept.data is masked.made[wanted].image.data


def test_the_likeliest_under_the_prompt_is_kept() -> None:
    """Of a Gaussian, whose denoiser is exact, the likelier draw is the one that is nearer to its mean."""
    world = gaussian_world(dtype=torch.float32)
    assert world.codec
    assert world.image
    shades = [world.image.data * share for share in (0.1, 1.0, 0.5)]
    latents = world.codec.encode(torch.stack(shades))
    for component in (0, 1):
        mean = latents[1 + component]
        world.model.core.means = torch.stack([-mean, mean])  # pyright: ignore[reportAttributeAccessIssue]
        drawn = Candidates(tuple(Turned(Image(each)) for each in shades))
        heard = Heard()
        rest = (world.model, world.schedule, world.codec, world.noise)
        (kept,) = run(denoiser(drawn, world.edit.target, world.edit.negative, *rest, heard))
        assert kept.data is shades[1 + component]
        assert f"kept draw {2 + component} of 3" in heard.said[0]


def test_under_contrast_what_is_missed_without_the_prompt_counts_for_a_draw() -> None:
    """Its score is that of the distribution which a guided walk draws from."""
    world = tiny_world(steps=4)
    assert world.image
    target, away = world.edit.target, world.edit.negative
    shades = [Image(world.image.data * share) for share in (0.2, 0.9)]
    drawn = Candidates(tuple(map(Turned, shades)))
    said = []
    for contrast, words in ((0.0, "of its noise is missed"), (2.0, "by 3 × what the prompt misses − 2 × what the")):
        heard = Heard()
        args = (world.model, world.schedule, world.codec, world.noise, heard)
        said.append(run(denoiser(drawn, target, away, *args, contrast=contrast))[0].scores)
        assert words in heard.said[0]
    plain, told = said
    swapped = run(denoiser(drawn, away, target, *args))[0].scores  # what is missed under the negative prompt
    for one, three, other in zip(plain, told, swapped, strict=True):
        assert three == pytest.approx(3 * one - 2 * other, rel=1e-4)


def test_the_draw_that_changes_least_beside_what_was_asked_for_is_kept() -> None:
    """One put a small thing there and left the rest; one drew all anew, fainter; one is nearer, and did nothing."""
    source = Image(torch.full((3, 16, 16), 0.5))
    anew, placed, idle = source.data + 0.03, source.data.clone(), source.data + 0.001
    placed[:, :3, :4] = torch.tensor([0.0, 1.0, 0.0])[:, None, None]  # 12 of 256 pixels, 5 %
    drawn = Candidates(tuple(Turned(Image(each)) for each in (anew, placed, idle)))

    def order(**options) -> list[int]:
        heard = Heard()
        (kept,) = run(change(drawn, source, heard, **options))
        assert isinstance(kept, Ranked)
        assert "of change besides" in heard.said[0]
        return sorted(range(3), key=kept.scores.__getitem__)

    assert order() == [1, 2, 0]
    assert order(room=0.04) == [2, 1, 0]  # two pixels of the thing count


def test_the_least_change_asks_no_model_and_is_told_as_it_is() -> None:
    plain, ranked = made(FLOW), made(f"draw ({FLOW}) seeds=3 | rank change keep=[1, 2, 3]")
    assert ranked.cost == 3 * plain.cost
    before = np.asarray(Pil.open(CAT)).astype(float)
    gaps = [np.sort(np.abs(np.asarray(each) - before).mean(2).ravel()) for each in ranked.images]
    least = [gap[: round(0.95 * gap.size)].mean() / 255 for gap in gaps]
    assert least == sorted(least)
    said = next(each for each in ranked.notices if each.startswith("rank change"))
    told = float(said.split(": ")[2].split()[0])
    assert told == pytest.approx(least[0], abs=2e-3)


@pytest.mark.thorough
def test_looks_of_the_denoiser_are_planned_and_need_no_eye() -> None:
    plain = made(FLOW)
    ranked = made(f"draw ({FLOW}) seeds=3 | rank denoiser looks=5")
    assert ranked.cost == 3 * plain.cost + 3 * 5
    assert made(f"draw ({FLOW}) seeds=3 | rank denoiser looks=5 contrast=2").cost == 3 * plain.cost + 3 * 5 * 2
    assert any("rank denoiser: kept draw" in each for each in ranked.notices)


def test_the_notice_is_the_users() -> None:
    (said,) = [each for each in made(f"draw ({FLOW}) seeds=2 | rank").notices if each.startswith("rank")]
    assert "of 2: " in said
    assert "from the text" in said


@pytest.mark.parametrize(
    "flow",
    [
        f"{HEAD}draw ({FLOW} | blend latent | blend pixel) seeds=2 | rank",
        f"draw ({FLOW} | mask box left=30% top=30% | blend latent | blend pixel) seeds=2 | rank",
        f"{HEAD}crop | draw ({FLOW} | blend latent) seeds=2 | rank | paste",
        f"{HEAD}repaint (draw ({FLOW} | blend latent) seeds=2 | rank) times=2",
        f"{HEAD}tiles (draw ({FLOW} | blend latent) seeds=2 | rank) size=48",
    ],
    ids=["mask", "mask inside", "crop", "inside repaint", "inside tiles"],
)
def test_nothing_outside_of_a_mask_changes(flow) -> None:
    before, after = np.asarray(Pil.open(CAT)), np.asarray(made(flow).image)
    outside = np.ones(before.shape[:2], bool)
    outside[int(0.3 * 64) :, int(0.3 * 64) :] = False
    if "inside" not in flow:
        assert (before[outside] == after[outside]).all()
    assert (before != after).any()


def test_draws_go_on_in_another_turn_and_on_sheets(tmp_path) -> None:
    flow = f'draw ({FLOW}) seeds=2 | rank keep=[1, 2] | invert ddim "dog"->"bear" steps=2 | sheet "all.png"'
    found = retouch.recipe(f'model "storybook"\n{flow}', tmp_path)(CAT, caption="an orange cat in a meadow")
    assert (tmp_path / "all.png").exists(), found


@pytest.mark.parametrize(
    ("flow", "code"),
    [
        (f"draw ({FLOW}) seeds=2 | rank keep=3", "RT226"),
        (f"draw ({FLOW}) seeds=2 | rank denoiser keep=3", "RT226"),
        (f"draw ({FLOW}) seeds=2 | rank change keep=3", "RT226"),
        (f"draw ({FLOW}) seeds=2 | rank change room=100%", "RT226"),
        ("rank", "RT301"),
        (f"{FLOW} | rank", "RT301"),
        ("draw seeds=3 | rank", "RT241"),
    ],
)
def test_what_cannot_be_is_told_by_check(flow, code) -> None:
    with pytest.raises(retouch.RecipeError, match=code):
        retouch.recipe(f'model "storybook"\n{flow}').graphs(CAT, caption="an orange cat in a meadow")
