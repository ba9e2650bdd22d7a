"""What each stage that leads counts, whole: its options, pictures and texts in their places, by the words of its card.

The losses alone are held to their papers in test_losses.py, and their gradients to the losses in tests/laws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import iscoroutine
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Image, Mask, Predicted, Restart, SourceImage, value_and_grad
from retouch.core.looking import text_apart
from retouch.run.executor import run
from retouch.testing.tiny import Draws, TinyCodec, TinyEyes
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.appearance import appearance
from retouch_methods.guide.direction import direction
from retouch_methods.guide.identity import identity
from retouch_methods.guide.image_text import image_text
from retouch_methods.guide.keep import keep
from retouch_methods.guide.range import within
from retouch_methods.guide.structure import places_confused, relations_apart, structure

EYES, CODEC, DRAWS = TinyEyes(torch.float64), TinyCodec(), Draws(7, torch.float64)
EYE, LOOKS, PLAIN = EYES.image_text(), EYES.perceptual(), EYES.vision_tokens()
TOWER = replace(PLAIN, look=lambda batch: PLAIN.look(batch.square()))  # it sees otherwise than the image-text model
HEIGHT, WIDTH = 30, 28  # of the source; what is decoded has 32 by 32
SOURCE = SourceImage(torch.rand(3, HEIGHT, WIDTH, generator=DRAWS.generator, dtype=torch.float64))
WORLD = replace(tiny_world(steps=4, dtype=torch.float64), source=SOURCE)
LEVELS = [WORLD.schedule.steps[1].noisy, WORLD.schedule.steps[2].noisy]
X, X0 = DRAWS.tensor(4, 8, 8), DRAWS.tensor(4, 8, 8)
LEFT = Mask((torch.arange(8) < 4).double().expand(8, 8), scale=4)
WHOLE_PLACE = (torch.arange(32) < 16).double().expand(1, 32, 32)
PLACE = WHOLE_PLACE[:, :HEIGHT, :WIDTH]
OLD, NEW = WORLD.edit.source.text, WORLD.edit.target.text
STYLE = Image(torch.rand(3, 20, 24, generator=DRAWS.generator, dtype=torch.float64))


class OneStyle:
    """The files of a recipe."""

    def image(self, path: str, size: int) -> Image:
        return STYLE


def counted(
    stage: Callable[..., Any], at: int = 0, x0: Tensor = X0, memory: dict[str, Any] | None = None, **given: Any
) -> float:
    """What the loss of a stage comes to at one of two levels, weighted."""
    made = WORLD.call(stage, **given)
    (loss,) = (run(made)[0] if iscoroutine(made) else made).losses
    seen = Predicted(X, x0, LEVELS[at], CODEC, {} if memory is None else memory)
    return loss.weight * float(run(loss.of(seen))[0])


def decoded(latents: Tensor) -> Tensor:
    """[4, 8, 8] -> [3, 32, 32]"""
    return CODEC.decode_freely(latents[None])[0]


NOW = decoded(X0)[:, :HEIGHT, :WIDTH]


def mixed(at: int = 0) -> Tensor:
    """As much of the prediction as the level is noise.  -> [3, 32, 32]"""
    sigma = LEVELS[at].sigma
    return decoded(sigma * X0 + (1 - sigma) * X)


def see(picture: Tensor) -> Tensor:
    return run(EYE.picture(picture))[0]


def read(text: str) -> Tensor:
    return run(EYE.text(text))[0]


def of_width(picture: Tensor) -> Tensor:
    return picture[:, :HEIGHT, :WIDTH]


class TestDirection:
    given: ClassVar[dict[str, Any]] = {"eyes": (EYE,), "weight": 70.0, "looks": 1}

    @pytest.mark.parametrize(("mask", "place"), [(None, 1), (LEFT, PLACE)])
    @pytest.mark.parametrize("templates", [(), ("_", "see _!")])
    def test_the_picture_is_to_move_from_the_source_as_the_target_lies_from_the_source_text(
        self, mask, place, templates
    ):
        sentences = templates or ("_",)
        ways = [read(each.replace("_", NEW)) - read(each.replace("_", OLD)) for each in sentences]
        moved = see(NOW * place) - see(SOURCE.data * place)
        wanted = 70 * (1 - F.cosine_similarity(moved, torch.stack(ways).mean(0), dim=0))
        found = counted(direction, mask=mask, templates=templates, **self.given)
        assert found == pytest.approx(float(wanted), rel=1e-5)

    def test_several_eyes_count_as_their_mean(self):
        given = {**self.given, "eyes": (EYE, EYE)}
        assert counted(direction, **given) == pytest.approx(counted(direction, **self.given))


@pytest.mark.parametrize("stage", [direction, image_text])
def test_copies_are_others_at_each_step_and_differ_as_far_as_is_said(stage):
    given: dict[str, Any] = {"eyes": (EYE,)}
    one, three, near = (
        [counted(stage, at, looks=looks, spread=spread, **given) for at in (0, 1)]
        for looks, spread in ((1, 1.0), (3, 1.0), (3, 0.3))
    )
    if stage is direction:  # which sees the prediction alone
        assert one[0] == pytest.approx(one[1])
        assert abs(three[0] - three[1]) > 1e-3 * abs(one[0])
    assert abs(three[0] - one[0]) > 1e-4 * abs(one[0])
    assert abs(three[0] - near[0]) > 1e-4 * abs(one[0])


class TestIdentity:
    apart = 2 * float((NOW - SOURCE.data).abs().mean())

    def test_colours_count_by_their_weight(self):
        assert counted(identity, eyes=(), towers=(), weight=30.0) == pytest.approx(30 * self.apart)

    def test_so_does_what_every_network_says_of_the_whole(self):
        wholes = [1 - F.cosine_similarity(see(NOW), see(SOURCE.data), dim=0)]
        (now, _), (was, _) = (run(TOWER.picture(each))[0] for each in (NOW, SOURCE.data))
        wholes.append(1 - F.cosine_similarity(now, was, dim=0))
        found = counted(identity, eyes=(EYE,), towers=(TOWER,), weight=30.0, likeness=5.0)
        assert found == pytest.approx(30 * self.apart + 5 * float(sum(wholes) / 2))


class TestImageText:
    given: ClassVar[dict[str, Any]] = {"eyes": (EYE,), "weight": 40.0, "looks": 1}

    @pytest.mark.parametrize("sees", ["mask", "picture"])
    def test_what_is_mixed_is_to_be_as_the_target_says(self, sees):
        place = WHOLE_PLACE if sees == "mask" else 1
        wanted = 40 * float(text_apart(see(mixed() * place)[None], read(NEW)))
        assert counted(image_text, mask=LEFT, sees=sees, **self.given) == pytest.approx(wanted)

    @pytest.mark.parametrize("sees", ["mask", "picture"])
    def test_less_of_the_old_words_and_more_of_the_picture_is_looked_for(self, sees):
        place, was = (WHOLE_PLACE, PLACE) if sees == "mask" else (1, 1)
        wanted = F.normalize(read(NEW) - 0.4 * read(OLD) + 0.2 * see(SOURCE.data * was), dim=0)
        given = {"mask": LEFT, "sees": sees, "distance": "cosine", "less_source": 0.4, "more_picture": 0.2}
        found = counted(image_text, **given, **self.given)
        assert found == pytest.approx(40 * (1 - float(see(mixed() * place) @ wanted)))


class TestKeep:
    def test_what_the_mask_leaves_is_to_be_the_sources(self):
        rest = 1 - PLACE
        squares = 4 * float(((NOW - SOURCE.data) * rest).square().mean())
        looks = float(run(LOOKS.distance(NOW * rest, SOURCE.data * rest))[0])
        given = {"mask": LEFT, "weight": 20.0}
        assert counted(keep, eyes=(), **given) == pytest.approx(20 * squares)
        found = counted(keep, eyes=(LOOKS,), perceptual=3.0, **given)
        assert found == pytest.approx(20 * squares + 3 * looks)


class TestStructure:
    @pytest.mark.parametrize(("look", "layer"), [("mixed", 0), ("predicted", 1)])
    def test_keys_of_places_and_of_the_whole_are_compared(self, look, layer):
        shown = of_width(mixed()) if look == "mixed" else NOW
        (_, now), (_, was) = (run(TOWER.picture(each, layer))[0] for each in (shown, SOURCE.data))
        wanted = 9 * relations_apart(now, was) + 2 * places_confused(now[1:], was[1:], 0.3)
        given = {"weight": 9.0, "contrast": 2.0, "temperature": 0.3, "layer": layer, "look": look}
        assert counted(structure, eyes=(TOWER,), **given) == pytest.approx(float(wanted))


class TestAppearance:
    given: ClassVar[dict[str, Any]] = {"eyes": (TOWER,), "pictures": OneStyle(), "look": "predicted"}

    def token(self, picture: Tensor) -> Tensor:
        return run(TOWER.picture(picture))[0][0]

    def test_it_leads_to_the_whole_of_a_style_and_to_its_colours_place_by_place(self):
        now = decoded(X0)
        style = F.interpolate(STYLE.data[None], (32, 32), mode="bilinear", antialias=True, align_corners=False)[0]
        wanted = 6 * F.mse_loss(self.token(now), self.token(STYLE.data)) + 5 * 4 * F.mse_loss(now, style)
        found = counted(appearance, path="style.png", towards=6.0, colours=5.0, **self.given)
        assert found == pytest.approx(float(wanted))

    def test_it_leads_away_from_the_step_before_and_not_from_an_earlier_one(self):
        memory: dict[str, Any] = {}
        first, second, third = (Draws(seed, torch.float64).tensor(4, 8, 8) for seed in (1, 2, 3))
        given = {**self.given, "away": 7.0, "until": 1.0, "memory": memory}
        assert counted(appearance, x0=first, **given) == 0
        before = first
        for now in (second, third):
            wanted = -7 * F.mse_loss(self.token(decoded(now)), self.token(decoded(before)))
            assert counted(appearance, x0=now, **given) == pytest.approx(float(wanted))
            before = now

    def test_what_it_remembers_of_a_step_holds_no_way_back_through_it(self):
        memory: dict[str, Any] = {}
        (made,) = run(WORLD.call(appearance, path="style.png", away=7.0, until=1.0, **self.given))

        async def missed(x0: Tensor) -> Tensor:
            return await made.losses[0].of(Predicted(X, x0, LEVELS[0], CODEC, memory))

        assert run(value_and_grad(missed, X0))[0].grads[0].any()
        assert not any(each.requires_grad for each in memory["tokens"])

    def test_it_does_so_until_then(self):
        progress = LEVELS[0].progress
        for until, leads in ((progress, False), (progress + 0.01, True)):
            memory = {"tokens": [self.token(decoded(X))]}
            found = counted(appearance, away=7.0, until=until, memory=memory, **self.given)
            assert (found < 0) is leads


class TestRange:
    def test_a_walk_begins_again_where_the_weighted_loss_is_too_much_and_it_may(self):
        far = X0 * 3
        missed = counted(within, x0=far, weight=1.0)
        assert missed > 0.1
        given = {"x0": far, "weight": 2.0, "attempts": 2}
        assert counted(within, above=2.5 * missed, **given) == pytest.approx(2 * missed)
        with pytest.raises(Restart):
            counted(within, above=1.5 * missed, **given)
        (loss,) = WORLD.call(within, weight=2.0, attempts=2, above=0.0).losses
        last = Predicted(X, far, LEVELS[0], CODEC, {}, 1)
        first = Predicted(X, far, replace(LEVELS[0], progress=0.0), CODEC, {})
        assert [float(run(loss.of(each))[0]) for each in (last, first)] == pytest.approx([missed, missed])
