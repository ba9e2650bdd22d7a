"""The arc between two prompts is there too where one is nothing: Stable Diffusion XL's empty prompt is all 0."""

from __future__ import annotations

import pytest
import torch

from retouch_methods.invert.negative_prompt import slerp


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_an_arc_to_nothing_is_a_straight_line(share: float) -> None:
    start = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    torch.testing.assert_close(slerp(start, torch.zeros_like(start), share), (1 - share) * start)
    assert torch.equal(slerp(start, start, share), start)
    torch.testing.assert_close(slerp(start, start.flip(1), 1.0), start.flip(1))
