"""Guidance by the direction of a change: from the source picture as from the source text to the target text.

Gal et al. 2021 (StyleGAN-NADA), arXiv:2108.00946, eq. 2.  `tune diffusionclip` has the same loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Codec,
    Edit,
    Guidance,
    ImageText,
    Loss,
    Mask,
    NoiseSource,
    Pattern,
    Predicted,
    Range,
    SameToTheModel,
    SourceImage,
    gather,
    stage,
    with_loss,
)
from retouch_methods.guide.copies import copies
from retouch_methods.guide.image_text import ALIKE, inside

Sentence = Annotated[str, Pattern("[^_]*_[^_]*", "a text with _ where the prompt stands", "a drawing of _")]


@stage(
    "guide",
    "direction",
    paper="arXiv:2108.00946",
    facts={"guide": "guide", "gradient": "2 if through == 'network' else 1"},
    words="own",
)
async def direction(
    guidance: Guidance,
    edit: Edit,
    source: SourceImage,
    codec: Codec,
    noise: NoiseSource,
    eyes: tuple[ImageText, ...],
    mask: Mask | None = None,
    *,
    weight: Annotated[float, Range(0, 1_000_000)] = 1000.0,
    looks: Annotated[int, Range(1, 64, "copies")] = 4,
    templates: tuple[Sentence, ...] = (),
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step so that the picture changes in the direction in which the prompt changes, inside a mask if any.

    Choose it over `guide image_text` where the picture is to stay what it is but for the edit: what both prompts say
    pulls at nothing.

    weight: how much it counts that the cosine of both directions is less than 1.
    looks: how many copies of the pair are looked at: both as they are, the others turned, shifted and slanted alike.
    templates: sentences with _ where the prompt stands, over which the direction of the texts is averaged, such as
        "a drawing of _"; without any, the prompts are read as they are.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    texts = edit.source.text, edit.target.text
    wanted = [await text_direction(eye, *texts, templates) for eye in eyes]  # [d] each
    before = inside(source.data, mask)  # [3, H, W]

    async def miss(seen: Predicted) -> Tensor:
        height, width = source.data.shape[-2:]
        now = inside((await seen.picture("predicted"))[:, :height, :width], mask)  # without what pads it
        drawn = replace(noise, key=f"{noise.key}/{seen.level.timestep}/{seen.attempt}")

        async def of(eye: ImageText, text: Tensor) -> Tensor:
            pairs = [copies(each, eye.side, looks, drawn) for each in (before, now)]  # [looks, 3, side, side] each
            looked = await gather(eye.picture(each) for pair in pairs for each in pair)
            return directional(torch.stack(looked[looks:]), torch.stack(looked[:looks]), text).mean()

        return torch.stack(await gather(of(*each) for each in zip(eyes, wanted, strict=True))).mean()

    return with_loss(guidance, Loss(miss, weight, through), codec)


async def text_direction(eye: ImageText, source: str, target: str, templates: Sequence[str] = ()) -> Tensor:
    """The direction from one text to another, averaged over sentences with _ where the text stands.

    -> [d], of length 1.  Raises SameToTheModel where both texts are read alike.
    """
    sentences = [each.replace("_", text) for text in (target, source) for each in (*templates,) or ("_",)]
    read = torch.stack(await gather(map(eye.text, sentences)))  # [2 n, d]
    there, here = read.unflatten(0, (2, -1))
    way = (there - here).mean(0)
    if not way.any():
        raise SameToTheModel(ALIKE, "use words that it knows")
    return F.normalize(way, dim=0)


def directional(now: Tensor, source: Tensor, wanted: Tensor) -> Tensor:
    """1 - the cosine of how a picture has changed with how it is to change: 0 where it changed so, 2 at the reverse.

    now, source: Tensor  # [n, d], where both pictures lie, of length 1
    wanted: Tensor  # [d], of length 1
    -> [n]
    """
    moved = now - source
    return 1 - (moved / (moved.norm(dim=-1, keepdim=True) + 1e-7)) @ wanted
