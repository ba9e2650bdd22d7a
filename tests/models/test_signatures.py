"""Layers of diffusers ask what their processors take at every call; it is not worked out anew."""

from __future__ import annotations

import inspect

import pytest
import torch

from retouch.testing.tiny import Draws, tiny_core


def test_a_pass_works_out_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    module, draws = tiny_core().module, Draws()
    asked = (draws.tensor(1, 4, 8, 8), torch.tensor([500.0]), draws.tensor(1, 7, 32))
    answered: list[object] = []
    answer = inspect.signature
    monkeypatch.setattr(inspect, "signature", lambda call: answered.append(call) or answer(call))
    monkeypatch.setattr(inspect, "_signature_from_function", None)
    out = module(*asked).sample
    assert answered, "diffusers asks no more, and nothing has to be remembered"
    monkeypatch.undo()
    for each in {type(call.__self__) for call in answered}:
        remembered = each.__call__.__signature__
        del each.__call__.__signature__
        assert inspect.signature(each.__call__) == remembered
        each.__call__.__signature__ = remembered
    assert torch.equal(module(*asked).sample, out)
