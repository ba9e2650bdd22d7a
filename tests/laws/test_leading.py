"""Every loss that leads keeps the laws of a guidance, and the gradient is that of what it says it wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from retouch.api import Codec, Guidance, Image, Loss, Mask, Predicted, stage, with_loss
from retouch.testing import laws
from retouch.testing.tiny import TinyEyes
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.appearance import appearance
from retouch_methods.guide.direction import direction
from retouch_methods.guide.identity import identity
from retouch_methods.guide.image_text import image_text
from retouch_methods.guide.keep import keep
from retouch_methods.guide.range import within
from retouch_methods.guide.structure import structure

DOUBLE = TinyEyes(torch.float64)
HALF = Mask((torch.arange(8) < 4).double().expand(8, 8), scale=4)


class OnePicture:
    """The files of a recipe: a style picture."""

    def image(self, path: str, size: int) -> Image:
        generator = torch.Generator().manual_seed(len(path))
        return Image(torch.rand(3, 20, 24, generator=generator, dtype=torch.float64))

    def area(self, path: str, label: int | None, height: int, width: int) -> Mask:
        raise NotImplementedError


LOSSES: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    "image_text": (image_text, {"looks": 3}),
    "image_text, inside a mask": (image_text, {"looks": 2, "mask": HALF}),
    "direction": (direction, {"looks": 2, "templates": ("_", "a drawing of _")}),
    "identity": (identity, {}),
    "identity by likeness": (
        identity,
        {"weight": 0.0, "likeness": 9.0, "eyes": (DOUBLE.image_text(),), "towers": (DOUBLE.vision_tokens(),)},
    ),
    "keep": (keep, {"mask": HALF}),
    "keep by looks": (keep, {"mask": HALF, "weight": 0.0, "eyes": (DOUBLE.perceptual(),)}),
    "range": (within, {}),
    "structure": (structure, {"contrast": 0.0}),
    "structure by contrast": (structure, {"weight": 0.0, "look": "predicted", "layer": 0}),
    "appearance of a style": (appearance, {"pictures": OnePicture(), "path": "style.png", "colours": 3.0}),
    "appearance away": (appearance, {"pictures": OnePicture(), "away": 100.0, "until": 1.0}),
}


@pytest.mark.crossed
@pytest.mark.parametrize("through", ["network", "x0"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_keeps_the_laws_of_a_guidance(name, through):
    guide, given = LOSSES[name]
    world = tiny_world(steps=4, dtype=torch.float64)
    assert "leading_law" in laws.stage_laws(guide, world, through=through, **given)


def loss_stage(of: Callable[[Predicted], Any], rows: int | str = "guide") -> Callable[..., Any]:
    @stage("guide", "mine", facts={"guide": rows})
    def mine(guidance: Guidance, codec: Codec) -> Guidance:
        """Lead."""
        return with_loss(guidance, Loss(of, 1.0), codec)

    return mine


async def _detached(seen: Predicted) -> torch.Tensor:
    return seen.x0.detach().square().mean() + 1e-3 * seen.x0.mean()


async def _blind(seen: Predicted) -> torch.Tensor:
    return seen.x0.new_zeros(())


async def _dark(seen: Predicted) -> torch.Tensor:
    return (await seen.picture("predicted")).mean()


@pytest.mark.parametrize(
    ("guide", "said"),
    [
        (loss_stage(_detached), "the slope of its loss is off"),
        (loss_stage(_blind), "it moves nothing"),
        (loss_stage(_dark, rows=2), "says 2 rows"),
    ],
)
def test_the_law_names_what_a_loss_breaks(guide, said):
    with pytest.raises(AssertionError, match=said):
        laws.leading_law(guide)


def test_a_loss_of_somebody_elses_keeps_it():
    laws.leading_law(loss_stage(_dark))
