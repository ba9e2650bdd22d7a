"""What a stage promises that works on a flow in brackets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

import torch

from retouch.core.values import Image, Mask
from retouch.testing.laws.running import Stage, bare, outcome
from retouch.testing.worlds import Asked, TinyTurn, World, tiny_world


def turn_law(stage: Stage, world: World | None = None, **options: Any) -> int:
    """A flow is given pictures, and masks of their size where its stage has one; what is masked nowhere stays.

    Returns how often the flow was asked.
    """
    world = world or tiny_world()
    assert world.image
    ports = {port.name: bare(port).partition(" ")[0] for port in signature(stage).parameters.values()}
    masks = [name for name, type_ in ports.items() if type_ == "Mask"]
    asked = _asked(stage, world, options)
    assert asked, "its flow is never asked"
    if not masks:
        return len(asked)
    half = torch.zeros(world.image.size).to(world.image.data)
    half[: world.image.size[0] // 2] = 1
    for image, _, mask, _ in _asked(stage, world, {**options, masks[0]: Mask(half)}):
        assert mask is not None, f"it has a mask and gives its flow none: await turn(…, mask={masks[0]})"
        mask.pixels(*image.size)
    kept = world.image.data.clone()
    flow = TinyTurn(world)
    made = outcome(replace(world, turn=flow), stage, {**options, masks[0]: Mask(half * 0)})
    if isinstance(made, Image) and made.size == world.image.size:
        assert torch.equal(made.data, kept), "the mask takes nothing, and the picture comes back changed"
        assert not flow.asked, "the mask takes nothing, and its flow is asked all the same"
    return len(asked)


def _asked(stage: Stage, world: World, options: dict[str, Any]) -> Sequence[Asked]:
    """What the flow is given, call by call."""
    flow = TinyTurn(world)
    outcome(replace(world, turn=flow), stage, options)
    for image, source, _, _ in flow.asked:
        assert isinstance(image, Image), f"its flow is given a {type(image).__name__}, and takes an Image"
        assert image.data.min() >= 0, f"its flow is given a picture that goes down to {image.data.min():g}"
        assert image.data.max() <= 1, f"its flow is given a picture that goes up to {image.data.max():g}"
        assert source is None or source.size == image.size, "the source that it gives has another size than the picture"
    return flow.asked
