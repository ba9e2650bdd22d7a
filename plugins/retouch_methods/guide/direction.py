"""Guidance by the direction of a change: from the source picture as from the source text to the target text.

Gal et al. 2021 (StyleGAN-NADA), arXiv:2108.00946, eq. 2.  `tune diffusionclip` has the same loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Codec,
    Edit,
    Guidance,
    ImageText,
    Loss,
    Mask,
    Moot,
    Need,
    NoiseSource,
    Pattern,
    Predicted,
    Range,
    SourceImage,
    direction_apart,
    gather,
    inside,
    looked_at,
    stage,
    text_direction,
    with_loss,
)

Sentence = Annotated[str, Pattern("[^_]*_[^_]*", "a text with _ where the prompt stands", "a drawing of _")]


@stage(
    "guide",
    "direction",
    paper="arXiv:2108.00946",
    moot=(Moot("spread", "looks < 2", "'looks' says that it is seen as it is"),),
    facts={
        "guide": "guide",
        "gradient": "2 if through == 'network' else 1",
        "seen": "2 * looks * eyes",
        "idle": "weight == 0",
    },
    words="own",
    needs=(
        Need(
            "alike == 0",
            "goes from what one prompt says to what the other does, and both say the same",
            'write what changes, such as "cat"->"dog"',
        ),
    ),
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
    spread: Annotated[float, Range(0, 1)] = 1.0,
    templates: tuple[Sentence, ...] = (),
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step so that the picture changes in the direction in which the prompt changes, inside a mask if any.

    Choose it over `guide image_text` where the picture is to stay what it is but for the edit: what both prompts say
    pulls at nothing. The last step draws next to no noise and is led by as little, so a walk of one step stays nearly
    as it was.

    weight: how much it counts that the cosine of both directions is less than 1.
    looks: how many copies of the pair are looked at: both as they are, the others turned, shifted and slanted alike.
    spread: how far the others differ, as a share of what the authors of Blended Diffusion have; small pictures of few
        things want less.
    templates: sentences with _ where the prompt stands, over which the direction of the texts is averaged, such as
        "a drawing of _"; without any, the prompts are read as they are.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    wanted = [await text_direction(eye, *edit.texts, templates) for eye in eyes]  # [d] each
    before = inside(source.data, mask)  # [3, H, W]

    async def miss(seen: Predicted) -> Tensor:
        height, width = source.data.shape[-2:]
        now = inside((await seen.picture("predicted"))[:, :height, :width], mask)  # without what pads it
        drawn = replace(noise, key=f"{noise.key}/{seen.level.timestep}/{seen.attempt}")

        async def of(eye: ImageText, text: Tensor) -> Tensor:
            # [looks, d] each
            there, here = await gather(looked_at(eye, each, looks, drawn, spread) for each in (before, now))
            return direction_apart(here, there, text).mean()

        return torch.stack(await gather(of(*each) for each in zip(eyes, wanted, strict=True))).mean()

    return with_loss(guidance, Loss(miss, weight, through), codec)
