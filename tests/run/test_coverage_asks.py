"""What is told of a mask is asked of its device at once."""

from __future__ import annotations

import pytest
import torch

from retouch.check.check import check
from retouch.core.values import Mask
from retouch.run.coverage import covers_too_much_or_little
from retouch.testing.pretend.device import pretended
from tests.lang.stages import world


@pytest.mark.parametrize(("value", "codes"), [(0.0, ["RT513"]), (0.5, []), (1.0, ["RT514"])])
def test_a_mask_of_nothing_or_all_is_told_by_one_question(value, codes):
    (graph,) = check('mask box right=50% | invert ddim "a"->"b" | blend latent', world()).graphs
    node = next(node for node in graph.nodes if node.card.family == "mask")
    with pretended() as device:
        data = torch.full((8, 8), value).to(device.name)
        before = len(device.waits)
        assert [each.code for each in covers_too_much_or_little(node, Mask(data))] == codes
        assert len(device.waits) - before == 1
